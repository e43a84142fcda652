package grpckit_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/grpckit"
	"github.com/tickettoken/rediskit/internal/leaks"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/ratelimit"
	"github.com/tickettoken/rediskit/rediskittest"
)

func TestMain(m *testing.M) { leaks.VerifyTestMain(m) }

func everywhere(t *testing.T, test func(t *testing.T, c *rediskit.Client)) {
	t.Helper()
	rediskittest.Each(t, test,
		rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster, rediskittest.OnEmbedded)
}

// limiterOf is a patient limiter with keys of the test's own.
func limiterOf(t *testing.T, c *rediskit.Client) *ratelimit.Limiter {
	t.Helper()
	return limiterWith(t, c, 10*time.Second)
}

func limiterWith(t *testing.T, c *rediskit.Client, timeout time.Duration) *ratelimit.Limiter {
	t.Helper()
	names, err := keys.New(rand.Text())
	check(t, err)
	l, err := ratelimit.New(c, ratelimit.Config{Keys: names, Timeout: timeout})
	check(t, err)
	return l
}

func onSingle(t *testing.T) *ratelimit.Limiter {
	t.Helper()
	return limiterOf(t, rediskittest.Connect(t, rediskittest.OnSingle))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func policies(p ...grpckit.Policy) grpckit.RateLimitConfig {
	return grpckit.RateLimitConfig{Policies: p}
}

func interceptor(t *testing.T, l *ratelimit.Limiter, p ...grpckit.Policy) *grpckit.Interceptor {
	t.Helper()
	i, err := grpckit.RateLimit(l, policies(p...))
	check(t, err)
	return i
}

func byUser() grpckit.Key { return byMetadata("user") }

func byMetadata(name string) grpckit.Key {
	return grpckit.ByFunc(func(ctx context.Context) string {
		md, _ := metadata.FromIncomingContext(ctx)
		return strings.Join(md.Get(name), "")
	})
}

func fiveAnHour(name string, key grpckit.Key) grpckit.Policy {
	return grpckit.Policy{Name: name, Limit: ratelimit.SlidingWindow(5, time.Hour), Key: key}
}

// service answers calls and streams, and does what a test gives it to do.
type service struct {
	pb.UnimplementedTestServiceServer
	during func(ctx context.Context)
}

func (s service) UnaryCall(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	s.during(ctx)
	return &pb.SimpleResponse{}, nil
}

func (s service) StreamingOutputCall(_ *pb.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error {
	s.during(stream.Context())
	return stream.Send(&pb.StreamingOutputCallResponse{})
}

// serve serves on a real port and returns a client.
func serve(t *testing.T, i *grpckit.Interceptor, during func(ctx context.Context)) pb.TestServiceClient {
	t.Helper()
	if during == nil {
		during = func(context.Context) {}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	server := grpc.NewServer(grpc.UnaryInterceptor(i.Unary), grpc.StreamInterceptor(i.Stream))
	pb.RegisterTestServiceServer(server, service{during: during})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(t, err)
	t.Cleanup(func() {
		check(t, conn.Close())
		server.Stop()
		check(t, <-served)
	})
	return pb.NewTestServiceClient(conn)
}

// as is a context of a user's calls.
func as(t *testing.T, user string) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "user", user)
}

// calls are a unary call and a stream from its start to its end, each with the header of its response.
var calls = map[string]func(ctx context.Context, c pb.TestServiceClient) (metadata.MD, error){
	"unary": func(ctx context.Context, c pb.TestServiceClient) (header metadata.MD, err error) {
		_, err = c.UnaryCall(ctx, &pb.SimpleRequest{}, grpc.Header(&header))
		return header, err
	},
	"stream": func(ctx context.Context, c pb.TestServiceClient) (metadata.MD, error) {
		stream, err := c.StreamingOutputCall(ctx, &pb.StreamingOutputCallRequest{})
		if err != nil {
			return nil, err
		}
		_, err = stream.Recv()
		header, _ := stream.Header()
		return header, err
	},
}

// details are those of a refusal.
func details(t *testing.T, err error) (violated string, retry time.Duration) {
	t.Helper()
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.QuotaFailure:
			for _, v := range d.Violations {
				violated += v.Subject
			}
		case *errdetails.RetryInfo:
			retry = d.RetryDelay.AsDuration()
		default:
			t.Errorf("a detail is %v", d)
		}
	}
	return violated, retry
}

func TestCallsAreLetInUpToTheLimitAndThenToldToWait(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		for kind, call := range calls {
			client := serve(t, interceptor(t, limiterOf(t, c), fiveAnHour("per-user", byUser())), nil)
			for i := range 5 {
				header, err := call(as(t, "ada"), client)
				check(t, err)
				equal(t, kind+"'s ratelimit-policy", strings.Join(header.Get("ratelimit-policy"), " "), `"per-user";q=5;w=3600`)
				equal(t, kind+"'s ratelimit", strings.Join(header.Get("ratelimit"), " "), []string{
					`"per-user";r=4;t=3600`, `"per-user";r=3;t=3600`, `"per-user";r=2;t=3600`, `"per-user";r=1;t=3600`, `"per-user";r=0;t=3600`,
				}[i])
			}
			for range 2 { // the second is remembered
				header, err := call(as(t, "ada"), client)
				equal(t, kind+"'s code", status.Code(err), codes.ResourceExhausted)
				equal(t, kind+"'s message", status.Convert(err).Message(), "quota exceeded")
				violated, retry := details(t, err)
				equal(t, kind+"'s violation", violated, "per-user")
				if retry <= 59*time.Minute || retry > time.Hour {
					t.Errorf("%s is to be retried in %v", kind, retry)
				}
				if got := strings.Join(header.Get("ratelimit"), " "); !strings.HasPrefix(got, `"per-user";r=0;t=3`) {
					t.Errorf("%s's ratelimit is %q", kind, got)
				}
			}
			_, err := call(as(t, "grace"), client)
			equal(t, kind+"'s code for another", status.Code(err), codes.OK)
		}
	})
}

func TestUnaryCallsAndStreamsCountTogether(t *testing.T) {
	var served atomic.Int64
	client := serve(t, interceptor(t, onSingle(t), grpckit.Policy{Name: "p", Limit: ratelimit.GCRA(100, 24*time.Hour, 50), Key: grpckit.ByPeer()}),
		func(context.Context) { served.Add(1) })
	var allowed, refused atomic.Int64
	var wg sync.WaitGroup
	for range 60 {
		for _, call := range calls {
			wg.Go(func() {
				// What a client says of itself changes nothing.
				ctx := metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", rand.Text(), "forwarded", "for=1.1.1.1")
				switch _, err := call(ctx, client); status.Code(err) {
				case codes.OK:
					allowed.Add(1)
				case codes.ResourceExhausted:
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	equal(t, "what got through", allowed.Load(), 50)
	equal(t, "what was served", served.Load(), 50)
	equal(t, "what was refused", refused.Load(), 70)
}

func TestWhatOnePolicyRefusesIsChargedByNone(t *testing.T) {
	for kind, call := range calls {
		l := onSingle(t)
		wide := grpckit.Policy{Name: "wide", Limit: ratelimit.FixedWindow(100, 24*time.Hour), Key: grpckit.ByMethod()}
		client := serve(t, interceptor(t, l, wide, fiveAnHour("narrow", byUser())), nil)
		for range 10 {
			_, _ = call(as(t, "ada"), client)
		}
		header, err := call(as(t, "ada"), client)
		equal(t, kind+"'s code", status.Code(err), codes.ResourceExhausted)
		if got := strings.Join(header.Get("ratelimit"), " "); !strings.HasPrefix(got, `"wide";r=95;`) {
			t.Errorf("%s's ratelimit is %q", kind, got)
		}
		method := map[string]string{"unary": "/grpc.testing.TestService/UnaryCall", "stream": "/grpc.testing.TestService/StreamingOutputCall"}[kind]
		res, err := l.Peek(t.Context(), "wide/"+method, wide.Limit)
		check(t, err)
		equal(t, "what is left for "+method, res.Remaining, 95)
	}
}

func TestSoManyCallsAtATimeAndNoMore(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		for kind, call := range calls {
			inside, leave := make(chan struct{}, 2), make(chan struct{})
			p := grpckit.Policy{Name: "at-a-time", Limit: ratelimit.Concurrency(2, time.Minute), Key: byUser()}
			client := serve(t, interceptor(t, limiterOf(t, c), p), func(context.Context) {
				inside <- struct{}{}
				<-leave
			})
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					_, err := call(as(t, "ada"), client)
					equal(t, kind+"'s code inside", status.Code(err), codes.OK)
				})
			}
			<-inside
			<-inside
			header, err := call(as(t, "ada"), client)
			equal(t, kind+"'s code for a third", status.Code(err), codes.ResourceExhausted)
			equal(t, kind+"'s ratelimit", strings.Join(header.Get("ratelimit"), " "), `"at-a-time";r=0`)
			violated, retry := details(t, err)
			equal(t, kind+"'s violation and delay", violated+" "+retry.String(), "at-a-time 1s")
			close(leave)
			wg.Wait()
			// The response is there a moment before the place is free.
			deadline := time.Now().Add(30 * time.Second)
			for {
				_, err := call(as(t, "ada"), client)
				if err == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s, with a place: %v", kind, err)
				}
			}
		}
	})
}

func TestAPanicPassesThroughAndFreesThePlace(t *testing.T) {
	i := interceptor(t, onSingle(t), grpckit.Policy{Name: "p", Limit: ratelimit.Concurrency(1, time.Hour), Key: grpckit.ByMethod()})
	for range 3 {
		for kind, call := range map[string]func(){
			"unary": func() {
				_, _ = i.Unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/a/B"}, func(context.Context, any) (any, error) { panic("oops") })
			},
			"stream": func() {
				_ = i.Stream(nil, stream{ctx: t.Context()}, &grpc.StreamServerInfo{FullMethod: "/a/B"}, func(any, grpc.ServerStream) error { panic("oops") })
			},
		} {
			func() {
				defer func() { equal(t, kind+"'s panic", recover(), any("oops")) }()
				call()
			}()
		}
	}
}

// stream is as much of one as an interceptor needs.
type stream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s stream) Context() context.Context       { return s.ctx }
func (s stream) SetHeader(md metadata.MD) error { return nil }

func TestTheHandlersContextEndsWhenItsPlaceIsLost(t *testing.T) {
	for kind, call := range calls {
		server := rediskittest.Server(t)
		p := grpckit.Policy{Name: "p", Limit: ratelimit.Concurrency(1, time.Second), Key: byUser()}
		client := serve(t, interceptor(t, limiterOf(t, server.Client()), p), func(ctx context.Context) {
			server.Kill()
			select {
			case <-ctx.Done():
			case <-time.After(time.Minute):
				t.Error("the context goes on")
			}
			if cause := context.Cause(ctx); !errors.Is(cause, ratelimit.ErrLost) {
				t.Errorf("it ended by %v", cause)
			}
		})
		_, err := call(as(t, "ada"), client)
		equal(t, kind+"'s code", status.Code(err), codes.OK)
	}
}

func TestWithoutADecisionTheCodeSaysWhy(t *testing.T) {
	server := rediskittest.Server(t)
	c := server.Client()
	negative := fiveAnHour("p", byUser())
	negative.Cost = func(context.Context, any) int { return -1 }
	wrong := serve(t, interceptor(t, limiterOf(t, c), negative), nil)
	down := serve(t, interceptor(t, limiterWith(t, c, 50*time.Millisecond), fiveAnHour("p", byUser())), nil)
	for kind, call := range calls {
		_, err := call(as(t, "ada"), wrong)
		equal(t, kind+"'s code of a mistake", status.Code(err), codes.Internal)
		equal(t, kind+"'s message", status.Convert(err).Message(), "no decision on the quota")
	}
	i := interceptor(t, limiterOf(t, c), fiveAnHour("p", grpckit.ByMethod()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := i.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: "/a/B"}, nil)
	equal(t, "the code of a call that has ended", status.Code(err), codes.Canceled)

	server.Kill()
	for kind, call := range calls {
		for range 6 { // of which the breaker answers some
			header, err := call(as(t, "ada"), down)
			equal(t, kind+"'s code without Redis", status.Code(err), codes.Unavailable)
			equal(t, kind+"'s message", status.Convert(err).Message(), "no decision on the quota")
			_, retry := details(t, err)
			equal(t, kind+"'s delay", retry, time.Second)
			equal(t, kind+"'s ratelimit", len(header.Get("ratelimit")), 0)
		}
	}
}

func TestACostThatNeverFitsIsRefusedWithoutATime(t *testing.T) {
	dear := fiveAnHour("dear", byUser())
	dear.Cost = func(_ context.Context, request any) int {
		if request == nil {
			return 6
		}
		return len(request.(*pb.SimpleRequest).GetPayload().GetBody())
	}
	client := serve(t, interceptor(t, onSingle(t), dear), nil)
	_, err := calls["stream"](as(t, "ada"), client)
	violated, retry := details(t, err)
	equal(t, "the code", status.Code(err), codes.ResourceExhausted)
	equal(t, "the message", status.Convert(err).Message(), "the call costs more than its quota ever allows")
	equal(t, "the violation", violated, "dear")
	equal(t, "the delay", retry, 0)

	_, err = client.UnaryCall(as(t, "ada"), &pb.SimpleRequest{Payload: &pb.Payload{Body: make([]byte, 3)}})
	check(t, err)
	var header metadata.MD
	_, err = client.UnaryCall(as(t, "ada"), &pb.SimpleRequest{}, grpc.Header(&header)) // for nothing
	check(t, err)
	equal(t, "the number of fields", len(header.Get("ratelimit"))+len(header.Get("ratelimit-policy")), 0)
	_, err = client.UnaryCall(as(t, "ada"), &pb.SimpleRequest{Payload: &pb.Payload{Body: make([]byte, 3)}})
	equal(t, "the code when 2 of 5 are left", status.Code(err), codes.ResourceExhausted)
}

func TestAnInterceptorAroundSeesTheCause(t *testing.T) {
	i := interceptor(t, onSingle(t), fiveAnHour("p", grpckit.ByMethod()))
	handler := func(context.Context, any) (any, error) { return nil, nil }
	for range 5 {
		_, err := i.Unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/a/B"}, handler)
		check(t, err)
	}
	_, err := i.Unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/a/B"}, handler)
	var exceeded *ratelimit.ExceededError
	if !errors.As(err, &exceeded) || exceeded.Key != "p//a/B" {
		t.Errorf("it sees %v", err)
	}
	// An interceptor that wraps it makes gRPC send the whole text.
	sent := status.Convert(fmt.Errorf("more: %w", err))
	equal(t, "what is sent", sent.Message(), "more: rpc error: code = ResourceExhausted desc = quota exceeded")
}

func TestAPeerIsAnAddressOrAnIPv6Network(t *testing.T) {
	i := interceptor(t, onSingle(t), grpckit.Policy{Name: "p", Limit: ratelimit.FixedWindow(1, time.Hour), Key: grpckit.ByPeer()})
	unix := &net.UnixAddr{Name: "@", Net: "unix"}
	tcp := func(ip string, port int) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: port} }
	for n, row := range []struct {
		addr net.Addr
		want codes.Code
	}{
		{tcp("2001:db8:1:1::1", 1), codes.OK}, {tcp("2001:db8:1:1:ffff::2", 2), codes.ResourceExhausted}, {tcp("2001:db8:1:2::1", 1), codes.OK},
		{tcp("203.0.113.9", 1), codes.OK}, {tcp("::ffff:203.0.113.9", 2), codes.ResourceExhausted}, {tcp("203.0.113.10", 1), codes.OK},
		{unix, codes.OK}, {unix, codes.ResourceExhausted}, {nil, codes.ResourceExhausted},
	} {
		ctx := peer.NewContext(t.Context(), &peer.Peer{Addr: row.addr})
		_, err := i.Unary(ctx, nil, &grpc.UnaryServerInfo{}, func(context.Context, any) (any, error) { return nil, nil })
		if got := status.Code(err); got != row.want {
			t.Errorf("call %d from %v: %v, want %v", n, row.addr, got, row.want)
		}
	}
}

func TestMistakesInTheConfigurationAreNamed(t *testing.T) {
	l, hour := onSingle(t), ratelimit.SlidingWindow(5, time.Hour)
	for want, cfg := range map[string]grpckit.RateLimitConfig{
		"no Policies":                 {},
		"Policies[0].Name is empty":   policies(grpckit.Policy{Limit: hour, Key: byUser()}),
		"Policies[0].Limit: ":         policies(grpckit.Policy{Name: "a", Key: byUser()}),
		"Policies[0].Key is missing":  policies(grpckit.Policy{Name: "a", Limit: hour, Key: grpckit.ByFunc(nil)}),
		"Policies[0].Cost: a request": policies(grpckit.Policy{Name: "a", Limit: ratelimit.Concurrency(1, time.Hour), Key: byUser(), Cost: func(context.Context, any) int { return 1 }}),
	} {
		_, err := grpckit.RateLimit(l, cfg)
		if err == nil || !strings.HasPrefix(err.Error(), "grpckit: RateLimit: "+want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if _, err := grpckit.RateLimit(nil, policies(fiveAnHour("a", byUser()))); err == nil || err.Error() != "grpckit: RateLimit: the limiter is nil" {
		t.Errorf("without a limiter: %v", err)
	}
}
