package embedded_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/internal/leaks"
)

func TestMain(m *testing.M) { leaks.VerifyTestMain(m) }

func Example() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()

	client := server.Client()
	ctx := context.Background()
	client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Set().Key("greeting").Value("hello").Ex(time.Minute).Build()
	})
	value, err := client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Get().Key("greeting").Build()
	}).ToString()
	fmt.Println(value, err)
	// Output: hello <nil>
}

func TestKeysExpireByThemselves(t *testing.T) {
	server, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	ctx := context.Background()
	if err := server.Client().Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Set().Key("k").Value("v").PxMilliseconds(20).Build()
	}).Error(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := server.Client().Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Get().Key("k").Build() }).Error()
		if rueidis.IsRedisNil(err) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("the key outlived its TTL by ten seconds")
		}
	}
}

func TestABlockingCallEndsWithItsContext(t *testing.T) {
	server, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- server.Client().Block(ctx, "list", 0, func(b rueidis.Builder, wait time.Duration) rueidis.Completed {
			return b.Blpop().Key("list").Timeout(wait.Seconds()).Build()
		}).Error()
	}()
	cancel()
	if err := <-done; err == nil {
		t.Fatal("a cancelled call returned no error")
	}
}

func TestCloseMayBeCalledTwice(t *testing.T) {
	server, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	server.Close()
}
