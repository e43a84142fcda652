// Package list is typed access to Redis lists.
//
//	jobs, err := list.New(client, list.Config[Job]{TTL: 24 * time.Hour})
//	length, err := jobs.RPush(ctx, "jobs", job)
//	next, ok, err := jobs.BLPop(ctx, []string{"jobs"}, time.Minute)
//
// # Map
//
//   - [List.LPush], [List.RPush], [List.LPushX], [List.RPushX], [List.InsertBefore], [List.InsertAfter], [List.Set]
//     put elements into a list.
//   - [List.LPop], [List.RPop], [List.LPopN], [List.RPopN], [List.Remove], [List.Trim], [List.Delete] take them away.
//   - [List.Move] does both.
//   - [List.BLPop], [List.BRPop], [List.BMove] wait for an element.
//   - [List.Len], [List.Index], [List.Range], [List.All], [List.Pos], [List.Positions] look.
//
// Left and right are the ends as Redis's commands name them: index 0 is leftmost. The methods have the names of the
// commands where those are what everybody knows.
//
// # Guarantees
//
//   - Every method is one command or one script, and atomic; All is one a page, and [List.BMove] says what it does
//     about the TTL.
//   - What puts an element into a list sets the list's TTL in the same step. What takes away leaves it.
//   - A call that waits (BLPop, BRPop, BMove) loses no element to a context that ends or to Client.Close, and delays no
//     other call.
//   - A miss (an empty list, an index beyond the end) is false or zero, never an error.
//
// # Errors and lost replies
//
// Every error of a method is a [*rediskit.OpError] with the method's name and the key. Beneath it is what the arguments
// or the codec say, the server's answer, or a [*rediskit.ConnectionError].
//
// A write whose reply was lost may have been applied: rediskit.MayHaveApplied tells. No push, pop, move, insert or Set
// is then repeated by itself, because it may happen twice. A pop may so have taken an element that nobody got:
//
//	call                        its context ends         its connection breaks
//	LPop, RPop, LPopN, RPopN    elements may be lost     elements may be lost
//	BLPop, BRPop                nothing is lost          the element may be lost
//	Move, BMove                 nothing is lost          nothing is lost: look in the destination
//
// A pop that does not wait takes a moment only; its context has to end in that moment.
//
// An element that the codec cannot read is in the [*DecodeError], so that popping it does not lose it.
//
// # Limits
//
//   - A list in the middle of which much is read or written is slow: Index, Set, Pos, the inserts and Remove take time
//     in proportion to the elements they pass.
//   - At most 1,000 calls wait at once on one client.
//   - A failover can lose acknowledged pushes, and bring popped elements back.
//   - On the embedded server a waiting call notices the end of its context after up to 50 ms.
package list
