package grpckit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/admission"
	"github.com/tickettoken/rediskit/ratelimit"
)

// Policy is one limit on calls.
type Policy struct {
	// Name is unique in its Interceptor: 1 to 64 printable ASCII characters, without / and #. Clients see it. The limiter's
	// keys are the name, a slash and what Key says, so that servers with policies of one name share their counts, and
	// others do not. Policies that are decided together have the key of the first.
	Name string

	// Limit is how much. One on concurrency holds a place until the call ends.
	Limit ratelimit.Limit

	// Key is on whose account.
	Key Key

	// Cost is how many permits a call takes: 0 for none, when the policy does not apply. A negative cost is a
	// mistake, and the call ends with codes.Internal. The request is nil for a stream. Default: 1. Limits on
	// concurrency have none.
	Cost func(ctx context.Context, request any) int
}

// RateLimitConfig configures [RateLimit].
type RateLimitConfig struct {
	// Policies are asked in order, those on concurrency last: put the one first that refuses most.
	Policies []Policy
}

// Interceptor is two: [Interceptor.Unary] and [Interceptor.Stream] count together.
type Interceptor struct {
	gate *admission.Gate[call]
}

// RateLimit makes interceptors that let calls in as far as all policies allow it.
//
// A call that one policy refuses is charged by none. Policies with one [Key] and no Cost are decided in one script, and in one
// round trip. Others are asked one after the other, until one refuses, with a round trip each, or none for a refusal that the limiter
// remembers; then what those before took is given back, with another round trip each. In between, these permits are missing to
// others. Refunds have a second of their own, and a refund that fails costs the caller its permit.
//
// A stream is one call, however many messages it has. With a limit on concurrency, the handler's context ends when
// its place is lost: when Redis cannot be reached for the time of the lease.
//
// A refusal is codes.ResourceExhausted with a QuotaFailure that names the policies and, unless the call costs more than its limit
// ever allows, a RetryInfo. A call about which the limiter cannot decide ends with codes.Unavailable and a RetryInfo of a second
// if Redis is unavailable and the limiter fails closed, with the code of its context if that has ended, and else with
// codes.Internal. In an interceptor around this one, errors.As finds the cause in the error, such as [*ratelimit.ExceededError];
// clients are not told.
//
// The header of every response has ratelimit-policy and ratelimit as HTTP responses have them
// (draft-ietf-httpapi-ratelimit-headers).
func RateLimit(limiter *ratelimit.Limiter, cfg RateLimitConfig) (*Interceptor, error) {
	policies := make([]admission.Policy[call], len(cfg.Policies))
	for i, p := range cfg.Policies {
		policies[i] = admission.Policy[call]{Name: p.Name, Limit: p.Limit}
		if p.Cost != nil {
			policies[i].Cost = func(c call) int { return p.Cost(c.ctx, c.request) }
		}
		if p.Key.key != nil {
			policies[i].Key, policies[i].Same = p.Key.of, p.Key
		}
	}
	gate, err := admission.New(limiter, policies)
	if err != nil {
		return nil, fmt.Errorf("grpckit: RateLimit: %w", err)
	}
	return &Interceptor{gate}, nil
}

// Unary is a [grpc.UnaryServerInterceptor].
func (i *Interceptor) Unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	pass, err := i.enter(call{ctx, info.FullMethod, request}, func(md metadata.MD) error { return grpc.SetHeader(ctx, md) })
	if err != nil {
		return nil, err
	}
	defer pass.Leave()
	return handler(pass.Context, request)
}

// Stream is a [grpc.StreamServerInterceptor].
func (i *Interceptor) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	pass, err := i.enter(call{ctx: stream.Context(), method: info.FullMethod}, stream.SetHeader)
	if err != nil {
		return err
	}
	defer pass.Leave()
	if pass.Holds() {
		stream = streamWith{stream, pass.Context}
	}
	return handler(srv, stream)
}

func (i *Interceptor) enter(c call, setHeader func(metadata.MD) error) (*admission.Pass, error) {
	pass, err := i.gate.Enter(c.ctx, c)
	if err != nil {
		return nil, failed(c.ctx, err)
	}
	// It fails if the header has gone out, which an interceptor around this one would have done.
	_ = setHeader(header(i.gate, pass))
	if pass.Refusal != nil {
		return nil, refused(pass.Refusal)
	}
	return pass, nil
}

// call is what is to be let in.
type call struct {
	ctx     context.Context
	method  string
	request any // nil for a stream
}

type streamWith struct {
	grpc.ServerStream
	ctx context.Context
}

func (s streamWith) Context() context.Context { return s.ctx }

func header(gate *admission.Gate[call], pass *admission.Pass) metadata.MD {
	md := metadata.MD{}
	policies, state := gate.Fields(pass)
	if policies != "" {
		md.Set("ratelimit-policy", policies)
	}
	if state != "" {
		md.Set("ratelimit", state)
	}
	return md
}

// answer is what clients see as its status, and interceptors as the cause. Its text is without the cause: where an interceptor wraps
// it, gRPC sends the text of all.
type answer struct {
	status *status.Status
	cause  error
}

func (a *answer) Error() string              { return a.status.Err().Error() }
func (a *answer) Unwrap() error              { return a.cause }
func (a *answer) GRPCStatus() *status.Status { return a.status }

func refused(no *admission.Refusal) error {
	quota := &errdetails.QuotaFailure{}
	for _, name := range no.Policies {
		quota.Violations = append(quota.Violations, &errdetails.QuotaFailure_Violation{Subject: name, Description: "the quota has been exceeded"})
	}
	if no.RetryAfter > 0 {
		return answered(codes.ResourceExhausted, "quota exceeded", no.Err, quota, retryIn(no.RetryAfter))
	}
	return answered(codes.ResourceExhausted, "the call costs more than its quota ever allows", no.Err, quota)
}

func failed(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return &answer{status.FromContextError(ctx.Err()), err}
	case rediskit.IsUnavailable(err):
		return answered(codes.Unavailable, "no decision on the quota", err, retryIn(time.Second))
	default:
		return answered(codes.Internal, "no decision on the quota", err)
	}
}

func retryIn(d time.Duration) *errdetails.RetryInfo {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(d)}
}

func answered(code codes.Code, text string, cause error, details ...protoadapt.MessageV1) error {
	s := status.New(code, text)
	if detailed, err := s.WithDetails(details...); err == nil {
		s = detailed
	}
	return &answer{s, cause}
}
