// Package demo is the guided tour: it does real work with each package of rediskit and shows the Go that does it,
// with the result.
//
// A step is a file step_NAME.go and a line in [Steps]. Its function is made of parts like this one:
//
//	t.show("Adding to a field neither reads nor writes the others.")
//	left, err := events.Incr(ctx, key("event:7"), "left", -2)
//	if err != nil {
//		return err
//	}
//	t.result("%d seats left", left)
//
// The lines between the two calls are what is shown: the step's own source is embedded in the program, so the code
// that a reader sees is the code that ran. Checks of err in the form above are left out. Code that is not to be shown
// stands outside of such a pair.
//
// Keys come from tour.keys, which puts them into a namespace of this run, for one slot of a cluster, and deletes them
// at the end. Every key is written with the TTL of the tour, so that nothing stays if the end is not reached.
package demo
