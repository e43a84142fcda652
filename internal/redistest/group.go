package redistest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
)

// startServers starts n alike in parallel: all of them or none.
func startServers(n int, config ServerConfig, sentinel bool) ([]*Server, error) {
	servers := make([]*Server, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { servers[i], errs[i] = startServer(config, sentinel) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		closeServers(servers)
		return nil, err
	}
	return servers, nil
}

func closeServers(servers []*Server) error {
	var errs []error
	for _, s := range servers {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

func addrs(servers []*Server) []string {
	list := make([]string, len(servers))
	for i, s := range servers {
		list[i] = s.Addr()
	}
	return list
}

func byAddr(servers []*Server, addr string) *Server {
	for _, s := range servers {
		if s.Addr() == addr {
			return s
		}
	}
	return nil
}

// checkRole fails unless the server considers itself "master" or "slave".
func checkRole(s *Server, want string) error {
	info, err := s.info("replication")
	if err != nil {
		return err
	}
	if info["role"] != want {
		return fmt.Errorf("%s is a %s, not a %s", s.Addr(), info["role"], want)
	}
	return nil
}

// checkReplicaOf fails unless the server replicates the primary and is in sync.
func checkReplicaOf(s, primary *Server) error {
	info, err := s.info("replication")
	if err != nil {
		return err
	}
	if info["role"] != "slave" || info["master_port"] != strconv.Itoa(primary.Port()) || info["master_link_status"] != "up" {
		return fmt.Errorf("%s is a %s of port %q, its link %q", s.Addr(),
			info["role"], info["master_port"], info["master_link_status"])
	}
	return nil
}
