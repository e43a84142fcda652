package limits

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/script"
)

// Batches gives out permits by the batch, on a server. Its states are not those of [Scripts]; package ratelimit says in
// Leased why no more than the limit is ever used.
type Batches struct {
	take [Concurrency]*script.Script // by kind
}

// ServerBatches gives them out on the server's clock.
var ServerBatches = makeBatches(source("clock"))

func makeBatches(clock string) *Batches {
	begin := clock + source("common", "leased")
	bucket := script.New(begin+source("leased_bucket"), script.Once)
	return &Batches{take: [Concurrency]*script.Script{
		SlidingWindow:  script.New(begin+source("leased_sliding_window"), script.Once),
		SlidingCounter: script.New(begin+source("leased_sliding_counter"), script.Once),
		FixedWindow:    script.New(begin+source("leased_fixed_window"), script.Once),
		TokenBucket:    bucket,
		GCRA:           bucket,
	}}
}

// BatchCall takes a batch of permits, and gives back what is left of earlier ones.
type BatchCall struct {
	Limit *Spec
	Key   string
	Lease time.Duration // whole microseconds

	// Need is how many permits there have to be, or there will be none. Want is how many there may be, at least Need.
	Need, Want int64

	Returns []Return
}

// Batch is a number of permits that may be used for as long as Lasts from when they were given.
type Batch struct {
	Permits int64
	Lasts   time.Duration
	Name    BatchName
}

// BatchName tells a batch from the others of its key.
type BatchName [2]int64

// Return is what is left of a batch that is not used any more. A batch is returned once.
type Return struct {
	Name   BatchName
	Unused int64
}

// MostLeased is how many permits there can be in a batch: what has run out of a bucket when a lease ends
// cannot be in it.
func (s *Spec) MostLeased(lease time.Duration) int64 {
	if s.Kind != TokenBucket && s.Kind != GCRA {
		return s.Permits
	}
	return s.whole(s.full.minus(amount{us: lease.Microseconds()}, s.Per))
}

// Take takes a batch. Its permits are 0 if what is needed is not there; [Spec.Decide] tells of the reply when it is. If
// there are fewer than wanted, it tells so when the verdict is put to 0.
func (s *Batches) Take(ctx context.Context, c *rediskit.Client, call BatchCall) (Reply, Batch, error) {
	return decodeBatch(s.take[call.Limit.Kind].Exec(ctx, c, []string{call.Key}, call.args()))
}

// Return gives back what is left of batches, all sent together. The calls are of one limit, and neither need nor want
// anything.
func (s *Batches) Return(ctx context.Context, c *rediskit.Client, calls []BatchCall) error {
	if len(calls) == 0 {
		return nil
	}
	execs := make([]script.Call, len(calls))
	for i, call := range calls {
		execs[i] = script.Call{Keys: []string{call.Key}, Args: call.args()}
	}
	var errs []error
	for _, res := range s.take[calls[0].Limit.Kind].ExecMulti(ctx, c, execs) {
		errs = append(errs, res.Error())
	}
	return errors.Join(errs...)
}

func (call *BatchCall) args() []string {
	s := call.Limit
	args := append(make([]string, 0, 8+3*len(call.Returns)), number(call.Need), number(call.Want), number(call.Lease.Microseconds()))
	switch s.Kind {
	case TokenBucket, GCRA:
		one := s.cost(1)
		args = append(args, number(s.full.us), number(s.full.rem), number(s.Per), number(one.us), number(one.rem))
	default:
		args = append(args, number(s.Permits), number(s.Window.Microseconds()), "0", "0", "0")
	}
	for _, r := range call.Returns {
		args = append(args, number(r.Name[0]), number(r.Name[1]), number(r.Unused))
	}
	return args
}

func decodeBatch(res rueidis.RedisResult) (Reply, Batch, error) {
	const extra = 4
	numbers, err := res.ToArray()
	if err != nil {
		return Reply{}, Batch{}, err
	}
	if len(numbers) != replyLen+extra {
		return Reply{}, Batch{}, fmt.Errorf("the script replied %d numbers, not %d", len(numbers), replyLen+extra)
	}
	r, err := decodeOne(numbers[:replyLen])
	var b Batch
	var lasts int64
	for i, to := range [extra]*int64{&b.Permits, &lasts, &b.Name[0], &b.Name[1]} {
		if err == nil {
			*to, err = numbers[replyLen+i].AsInt64()
		}
	}
	b.Lasts = time.Duration(lasts) * time.Microsecond
	return r, b, err
}
