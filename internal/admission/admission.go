// Package admission decides about requests of any kind by several named policies. It is what the middleware for HTTP
// and the interceptors for gRPC have in common.
package admission

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/tickettoken/rediskit/internal/limits"
	"github.com/tickettoken/rediskit/ratelimit"
)

// Policy is a limit on requests of type R.
type Policy[R any] struct {
	Name  string
	Limit ratelimit.Limit
	Key   func(R) string // "": the policy does not apply
	Same  any            // equal for policies with the same Key; comparable
	Cost  func(R) int    // nil: 1; 0: the policy does not apply
}

const (
	maxName = 64
	maxKey  = 200

	// When a place will be free is not known: within the lease at the latest, and most likely soon.
	retrySlot = time.Second

	// A refund is not worth waiting for longer: what is not given back runs out by itself.
	refundTimeout = time.Second
)

// Gate lets requests in.
type Gate[R any] struct {
	limiter  *ratelimit.Limiter
	policies []Policy[R]
	groups   []group
	fields   fields
}

// group is what one question to the limiter decides: one policy, or several with one key.
type group struct {
	members []int
	limits  []ratelimit.Limit // if there are several
	scope   string            // of the key: the name of the first member
	slots   bool              // it is a limit on concurrency, and has one member
}

// New checks the policies. Errors start with the field.
func New[R any](limiter *ratelimit.Limiter, policies []Policy[R]) (*Gate[R], error) {
	if limiter == nil {
		return nil, errors.New("the limiter is nil")
	}
	if len(policies) == 0 {
		return nil, errors.New("no Policies")
	}
	g := &Gate[R]{limiter: limiter, policies: policies}
	byName := map[string]int{}
	for i, p := range policies {
		if err := checkName(p.Name); err != nil {
			return nil, fmt.Errorf("Policies[%d].Name %w", i, err)
		}
		if j, twice := byName[p.Name]; twice {
			return nil, fmt.Errorf("Policies[%d].Name is %q like that of Policies[%d]: they would share their keys", i, p.Name, j)
		}
		byName[p.Name] = i
		if err := p.Limit.Validate(); err != nil {
			return nil, fmt.Errorf("Policies[%d].Limit: %w", i, err)
		}
		if p.Key == nil {
			return nil, fmt.Errorf("Policies[%d].Key is missing", i)
		}
		if p.Limit.IsConcurrency() && p.Cost != nil {
			return nil, fmt.Errorf("Policies[%d].Cost: a request takes one place of a limit on concurrency", i)
		}
	}
	if err := g.group(); err != nil {
		return nil, err
	}
	g.fields = newFields(policies)
	return g, nil
}

// checkName allows what a structured field's string may contain, but for what separates a name from a key.
func checkName(name string) error {
	if name == "" {
		return errors.New("is empty")
	}
	if len(name) > maxName {
		return fmt.Errorf("has %d bytes: want at most %d", len(name), maxName)
	}
	for _, c := range []byte(name) {
		if c < ' ' || c > '~' || c == '/' || c == '#' {
			return fmt.Errorf("is %q: want printable ASCII without / and #", name)
		}
	}
	return nil
}

// group puts policies together that one script can decide, and those on concurrency last: a place is dearer to take and to
// give back than a permit.
func (g *Gate[R]) group() error {
	shared := map[any]int{}
	var slots []group
	for i, p := range g.policies {
		switch at, found := shared[p.Same]; {
		case p.Limit.IsConcurrency():
			slots = append(slots, group{members: []int{i}, scope: p.Name, slots: true})
		case p.Cost != nil || p.Same == nil:
			g.groups = append(g.groups, group{members: []int{i}, scope: p.Name})
		case !found:
			shared[p.Same] = len(g.groups)
			g.groups = append(g.groups, group{members: []int{i}, scope: p.Name})
		default:
			for _, j := range g.groups[at].members {
				if stateOf(g.policies[j].Limit) == stateOf(p.Limit) {
					return fmt.Errorf("Policies[%d].Limit is %v, which counts the same as %v of Policies[%d], whose Key it has",
						i, p.Limit, g.policies[j].Limit, j)
				}
			}
			g.groups[at].members = append(g.groups[at].members, i)
		}
	}
	g.groups = append(g.groups, slots...)
	for i, gr := range g.groups {
		if len(gr.members) > 1 {
			for _, j := range gr.members {
				g.groups[i].limits = append(g.groups[i].limits, g.policies[j].Limit)
			}
		}
	}
	return nil
}

// stateOf tells limits apart as those do that share a key.
func stateOf(l ratelimit.Limit) string {
	spec, err := limits.Parse(l.String())
	if err != nil {
		return l.String()
	}
	return spec.Name()
}

// Pass is the answer to a request.
type Pass struct {
	// Context is for serving the request: it ends with the request's, and when a place is lost.
	Context context.Context
	// States are of the policies that apply and were asked, in order of asking.
	States []State
	// Refusal is nil if the request may come in.
	Refusal *Refusal

	applies []bool // each policy
	slots   []*ratelimit.Slot
}

// State is what a policy says.
type State struct {
	Policy    int
	Limit     int
	Remaining int
	Wait      time.Duration // until everything is there again, or of a refusal until it is worth trying again; concurrency: 0
	Refused   bool
}

// Refusal says why a request may not come in.
type Refusal struct {
	Policies   []string      // those that refuse
	RetryAfter time.Duration // 0: never
	Err        error         // *ratelimit.ExceededError, or wraps ratelimit.ErrNever
}

// Enter decides by all policies that apply, and takes from all of them or gives back what it took. An error means that
// there is no decision, and that nothing is held. After any Pass that does not refuse, Leave must be called.
func (g *Gate[R]) Enter(ctx context.Context, request R) (*Pass, error) {
	pass := &Pass{Context: ctx, applies: make([]bool, len(g.policies)), States: make([]State, 0, len(g.policies))}
	// Keys and costs come from the user's functions, which may panic. Nothing is taken yet.
	type question struct {
		group *group
		key   string
		cost  int
	}
	questions := make([]question, 0, len(g.groups))
	for i := range g.groups {
		gr := &g.groups[i]
		first := g.policies[gr.members[0]]
		value := first.Key(request)
		if value == "" {
			continue
		}
		cost := 1
		if first.Cost != nil {
			if cost = first.Cost(request); cost == 0 {
				continue
			}
		}
		for _, m := range gr.members {
			pass.applies[m] = true
		}
		questions = append(questions, question{gr, keyOf(gr.scope, value), cost})
	}

	var taken []receipt
	for _, q := range questions {
		var results []ratelimit.Result
		var err error
		switch {
		case q.group.slots:
			err = g.acquire(pass, q.group.members[0], q.key)
		case q.group.limits != nil:
			var all ratelimit.AllResult
			all, err = g.limiter.AllowAll(ctx, q.key, q.group.limits...)
			results = all.Each
		default:
			var one ratelimit.Result
			one, err = g.limiter.AllowN(ctx, q.key, g.policies[q.group.members[0]].Limit, q.cost)
			results = []ratelimit.Result{one}
		}
		switch {
		case errors.Is(err, ratelimit.ErrNever):
			pass.Refusal, err = &Refusal{Policies: g.names(q.group), Err: err}, nil
		case err == nil:
			taken = append(taken, g.note(pass, q.group, results, q.cost)...)
		}
		if err != nil || pass.Refusal != nil {
			pass.Leave()
			g.refund(ctx, pass, taken)
			return pass, err
		}
	}
	return pass, nil
}

// receipt is for what was taken and may have to be given back.
type receipt struct {
	result ratelimit.Result
	cost   int
	state  int // in Pass.States
}

func keyOf(scope, value string) string {
	if len(value) > maxKey {
		sum := sha256.Sum256([]byte(value))
		return scope + "#" + hex.EncodeToString(sum[:])
	}
	return scope + "/" + value
}

func (g *Gate[R]) names(gr *group) []string {
	var names []string
	for _, m := range gr.members {
		names = append(names, g.policies[m].Name)
	}
	return names
}

// note adds what a group's policies say to the pass, and returns what was taken.
func (g *Gate[R]) note(pass *Pass, gr *group, results []ratelimit.Result, cost int) (taken []receipt) {
	now := time.Now()
	for i, r := range results {
		s := State{Policy: gr.members[i], Limit: r.Limit, Remaining: r.Remaining, Wait: r.ResetAt.Sub(now), Refused: !r.Allowed}
		if s.Refused {
			s.Wait = r.RetryAfter
			pass.refuse(g.policies[s.Policy].Name, r.RetryAfter, r.Err())
		}
		// An outage policy does not know what is left.
		if r.Degraded && !s.Refused {
			continue
		}
		taken = append(taken, receipt{r, cost, len(pass.States)})
		pass.States = append(pass.States, s)
	}
	if pass.Refusal != nil { // none was taken of a group of which one refuses
		return nil
	}
	return taken
}

func (p *Pass) refuse(policy string, after time.Duration, err error) {
	if p.Refusal == nil {
		p.Refusal = &Refusal{}
	}
	p.Refusal.Policies = append(p.Refusal.Policies, policy)
	if p.Refusal.Err == nil || after > p.Refusal.RetryAfter {
		p.Refusal.RetryAfter, p.Refusal.Err = after, err
	}
}

// acquire takes a place, or refuses.
func (g *Gate[R]) acquire(pass *Pass, policy int, key string) error {
	p := g.policies[policy]
	slot, err := g.limiter.Acquire(pass.Context, key, p.Limit)
	var exceeded *ratelimit.ExceededError
	if errors.As(err, &exceeded) {
		pass.refuse(p.Name, retrySlot, err)
		pass.States = append(pass.States, State{Policy: policy, Limit: exceeded.Limit, Refused: true})
		return nil
	}
	if err != nil {
		return err
	}
	pass.slots = append(pass.slots, slot)
	pass.Context = slot.Context()
	if r := slot.Result(); !r.Degraded {
		pass.States = append(pass.States, State{Policy: policy, Limit: r.Limit, Remaining: r.Remaining})
	}
	return nil
}

// refund gives back what was taken for a request that is refused, also if its context has ended.
func (g *Gate[R]) refund(ctx context.Context, pass *Pass, taken []receipt) {
	if len(taken) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refundTimeout)
	defer cancel()
	for _, t := range taken {
		// If it fails the limit is stricter than it should be until these permits run out. That is no reason to
		// answer the request with anything else.
		if g.limiter.Refund(ctx, t.result) == nil {
			s := &pass.States[t.state]
			s.Remaining = min(s.Remaining+t.cost, s.Limit)
		}
	}
}

// Leave frees the places that the pass holds. It may be called more than once.
func (p *Pass) Leave() {
	for len(p.slots) > 0 {
		last := len(p.slots) - 1
		// A place that cannot be freed now is free when its lease ends.
		_ = p.slots[last].Release()
		p.slots = p.slots[:last]
	}
}

// Holds reports whether the pass holds places, so that Context is one of its own.
func (p *Pass) Holds() bool { return len(p.slots) > 0 }

// Worst is the state with the least left: of the policy that refuses longest, or has the fewest permits.
func (p *Pass) Worst() (State, bool) {
	if len(p.States) == 0 {
		return State{}, false
	}
	worst := p.States[0]
	for _, s := range p.States[1:] {
		switch {
		case s.Refused && (!worst.Refused || s.Wait > worst.Wait), !s.Refused && !worst.Refused && s.Remaining < worst.Remaining:
			worst = s
		}
	}
	return worst, true
}
