package redistest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports come from below the ephemeral ranges of Linux (32768 and up), macOS
// and the BSDs (49152 and up), so that no outgoing connection of another
// process takes one while its server is down between Kill and Restart.
// Cluster buses listen 10000 above, which is disjoint and below them as well.
const (
	firstPort     = 12000
	portCount     = 10000
	busPortOffset = 10000
	portAttempts  = 100
)

// listenLocal listens on a free port of our range on 127.0.0.1.
func listenLocal() (net.Listener, error) {
	var err error
	for range portAttempts {
		var l net.Listener
		l, err = net.Listen("tcp", localAddr(firstPort+rand.IntN(portCount)))
		if err == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("redistest: no free port: %w", err)
}

// freePort returns a port that was free a moment ago, whose bus port was free
// too. Another process may still be faster: who uses it must be ready to try
// again.
func freePort() (int, error) {
	for range portAttempts {
		l, err := listenLocal()
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		bus, busErr := net.Listen("tcp", localAddr(port+busPortOffset))
		l.Close()
		if busErr == nil {
			bus.Close()
			return port, nil
		}
	}
	return 0, errors.New("redistest: no port whose bus port is free as well")
}

func localAddr(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
