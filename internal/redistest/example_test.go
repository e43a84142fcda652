package redistest_test

import (
	"fmt"

	"github.com/tickettoken/rediskit/internal/redistest"
)

func Example() {
	server, err := redistest.StartServer(redistest.ServerConfig{Args: []string{"--maxmemory", "50mb"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	// Clients connect to the proxy, which can lose what they send.
	proxy, err := redistest.StartProxy(server.Addr())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer proxy.Close()
	proxy.BlackHole()

	fmt.Println(server.Do("SET", "greeting", "hello"))
	server.Kill()
	if err := server.Restart(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(server.Do("GET", "greeting")) // nothing was kept on disk
	// Output:
	// OK <nil>
	// <nil> <nil>
}
