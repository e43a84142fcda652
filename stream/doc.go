// Package stream is typed access to Redis streams.
//
//	orders, err := stream.New(client, stream.Config[Order]{TTL: 7 * 24 * time.Hour, Trim: stream.MaxLen(100_000)})
//	id, err := orders.Add(ctx, "orders", order)
//	created, err := orders.CreateGroup(ctx, "orders", "billing", stream.ID{})
//	me := stream.Consumer{Group: "billing", Name: hostname}
//	entries, err := orders.BReadGroup(ctx, me, time.Minute, 10, "orders")
//
// # Map
//
//   - [Stream.Add], [Stream.AddWith], [Stream.AddMany] add entries; [Stream.Delete] and [Stream.Trim] remove them.
//   - [Stream.Range], [Stream.RevRange], [Stream.All], [Stream.Backward] read what is there.
//   - [Stream.Read] and [Stream.BRead] read on from where a reader has got to; BRead waits.
//   - [Stream.ReadGroup] and [Stream.BReadGroup] share the entries among the consumers of a group, and
//     [Stream.Ack] ends with an entry. [Stream.ReadPending], [Stream.Claim], [Stream.ClaimIDs], [Stream.AutoClaim],
//     [Stream.Pending], [Stream.PendingEntries] deal with those that nobody ended with.
//   - [Stream.CreateGroup], [Stream.DestroyGroup], [Stream.SetGroupID], [Stream.DeleteConsumer] manage groups.
//   - [Stream.Len], [Stream.Info], [Stream.Groups], [Stream.Consumers] describe.
//
// This is access to the data type: one call, one command. It starts nothing in the background and retries no entry.
//
// # IDs
//
// An [ID] is two numbers, compared and counted with [ID.Compare], [ID.Next] and [ID.Prev]. Redis's special IDs have no
// types of their own: "-" is the zero ID, "+" and "$" are [End], and ">" is what ReadGroup does. "(" is Span.After and
// Span.Before.
//
// # Values
//
// An entry is a list of fields; the value is one of them, written by the codec. To read and write all fields, as for
// streams that others use too, make a Stream of [Fields].
//
// An entry that cannot be decoded does not hide the others: a call returns those, and a [*DecodeError] that has the
// rest as it is.
//
// # Guarantees
//
//   - Every method is one command or one script, and atomic; AddMany is that for each entry, and All and Backward for
//     each page. BRead and Read ask first what the last entry is if they begin at End.
//   - Adding an entry and creating a group set the stream's TTL in the same step. Nothing else touches it.
//   - A call that waits (BRead, BReadGroup) loses no entry to a context that ends or to Client.Close, and delays no other
//     call.
//   - A miss (no stream, nothing new) is false, zero or none, never an error. A group that does not exist is
//     [ErrNoGroup] where there is nothing to do without one.
//
// # Errors and lost replies
//
// Every error of a method is a [*rediskit.OpError] with the method's name and the key. Beneath it is what the arguments
// or the codec say, the server's answer, or a [*rediskit.ConnectionError].
//
// A write whose reply was lost may have been applied: rediskit.MayHaveApplied tells. It is then not repeated by itself.
//
//	call                                   after a lost reply
//	Read, BRead, Range, All, what asks     repeated by itself
//	Add, AddMany                           the entry may be there, and would be twice
//	AddWith an ID                          repeat: ErrNotNewer if it is there
//	ReadGroup, BReadGroup                  nothing is lost: ReadPending gives what was read; but with
//	                                       NoAck it is lost
//	Claim, ClaimIDs, AutoClaim             nothing is lost: ReadPending gives what was claimed
//	Ack, Delete, Trim, and what manages    repeat; a number that is returned counts the last attempt only
//	groups
//
// # Limits
//
//   - A stream without a Trim grows until its TTL ends it, and each Add begins that anew. A group does not keep entries
//     that it has not been given from being trimmed.
//   - An entry has at most 3,000 fields, a call at most a million IDs.
//   - At most 1,000 calls wait at once on one client.
//   - A failover can lose acknowledged entries, and bring back what was pending.
//   - The embedded server ignores AtMost, tells less in Info, and a call that waits there notices the end of its
//     context after up to 50 ms.
package stream
