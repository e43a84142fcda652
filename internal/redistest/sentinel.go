package redistest

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

const (
	sentinelCount    = 3
	sentinelQuorum   = 2
	sentinelMaster   = "mymaster"
	defaultDownAfter = time.Second
	sentinelBound    = 30 * time.Second

	// A primary that was failed over is left alone for twice this long before
	// an automatic failover may happen again.
	failoverTimeout = 2 * time.Second
)

// SentinelConfig says how to start a Sentinel set. The zero value has no
// passwords.
type SentinelConfig struct {
	// Args are further directives for primary and replica, as in ServerConfig.
	Args []string

	// Username and Password protect primary and replica, and are what they and
	// the sentinels use among themselves. As in ServerConfig.
	Username, Password string

	// SentinelUsername and SentinelPassword protect the sentinels.
	SentinelUsername, SentinelPassword string

	// DownAfter is how long a primary must be silent to be given up. Default
	// 1 s; at least 1 ms.
	DownAfter time.Duration
}

// Sentinel is a primary, a replica and three sentinels that watch them with a
// quorum of two. Its methods may be called concurrently, but one failover
// should be over before the next begins.
type Sentinel struct {
	data      []*Server
	sentinels []*Server
}

// StartSentinel starts a set and returns when the sentinels know one another
// and the replica, and the replica is in sync: about a second.
func StartSentinel(config SentinelConfig) (*Sentinel, error) {
	if config.DownAfter == 0 {
		config.DownAfter = defaultDownAfter
	}
	if config.DownAfter < time.Millisecond {
		return nil, fmt.Errorf("redistest: DownAfter %v is below a millisecond", config.DownAfter)
	}
	s := &Sentinel{}
	if err := s.start(config); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Sentinel) start(config SentinelConfig) error {
	data := ServerConfig{Args: config.Args, Username: config.Username, Password: config.Password}
	watch := ServerConfig{Username: config.SentinelUsername, Password: config.SentinelPassword}
	if err := errors.Join(data.validate(), watch.validate()); err != nil {
		return err
	}
	var err error
	if s.data, err = startServers(2, data, false); err != nil {
		return err
	}
	primary := s.data[0]
	for _, command := range [][]string{
		{"REPLICAOF", "127.0.0.1", strconv.Itoa(primary.Port())},
		{"CONFIG", "REWRITE"}, // restarted, it is still a replica
	} {
		if _, err := s.data[1].Do(command...); err != nil {
			return err
		}
	}
	if err := poll(sentinelBound, "the replica to be in sync", func() error {
		return checkReplicaOf(s.data[1], primary)
	}); err != nil {
		return err
	}

	watch.Args = append(watch.Args,
		"--sentinel", "monitor", sentinelMaster, "127.0.0.1", strconv.Itoa(primary.Port()), strconv.Itoa(sentinelQuorum),
		"--sentinel", "down-after-milliseconds", sentinelMaster, millis(config.DownAfter),
		"--sentinel", "failover-timeout", sentinelMaster, millis(failoverTimeout))
	if config.Password != "" {
		watch.Args = append(watch.Args, "--sentinel", "auth-pass", sentinelMaster, config.Password)
	}
	if config.Username != "" {
		watch.Args = append(watch.Args, "--sentinel", "auth-user", sentinelMaster, config.Username)
	}
	if config.SentinelPassword != "" {
		watch.Args = append(watch.Args, "--sentinel", "sentinel-pass", config.SentinelPassword)
	}
	if config.SentinelUsername != "" {
		watch.Args = append(watch.Args, "--sentinel", "sentinel-user", config.SentinelUsername)
	}
	if s.sentinels, err = startServers(sentinelCount, watch, true); err != nil {
		return err
	}
	return s.WaitOK()
}

// quicken makes a sentinel look around several times a second instead of every
// one to ten seconds, and recover soon from thinking that its own clock jumped,
// which a busy machine provokes. A server older than 7.0 cannot, and is slower
// but no less right: the refusal is of no interest.
//
// Three rules of sentinels bound the periods. One connects to a new primary
// only a ping period after it last tried the old one: by then it must not have
// given the new one up. It promotes no replica of which it heard nothing for
// five ping periods, and asks once a second during a failover. And it turns a
// promoted replica back unless it hears of the failover within four publish
// periods, while the leader itself may take a second to see the promotion.
func quicken(sentinel *Server) {
	sentinel.do("SENTINEL", "DEBUG",
		"PING-PERIOD", "500", "INFO-PERIOD", "200", "PUBLISH-PERIOD", "500", "TILT-PERIOD", "1000")
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Addrs returns the sentinels' addresses.
func (s *Sentinel) Addrs() []string { return addrs(s.sentinels) }

// MasterName returns the name under which the sentinels know the primary.
func (s *Sentinel) MasterName() string { return sentinelMaster }

// Sentinels returns the three sentinel processes.
func (s *Sentinel) Sentinels() []*Server { return append([]*Server(nil), s.sentinels...) }

// Primary returns the server that the sentinels name as the primary now, also
// when it was just killed. It fails while they disagree.
func (s *Sentinel) Primary() (*Server, error) {
	var primary *Server
	for _, sentinel := range s.sentinels {
		if !sentinel.responsive() {
			continue
		}
		reply, err := sentinel.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinelMaster)
		if err != nil {
			return nil, err
		}
		parts, err := asStrings(reply)
		if err != nil || len(parts) != 2 {
			return nil, fmt.Errorf("redistest: sentinel %s names no primary: %v", sentinel.Addr(), reply)
		}
		named := byAddr(s.data, net.JoinHostPort(parts[0], parts[1]))
		switch {
		case named == nil:
			return nil, fmt.Errorf("redistest: sentinel %s names a stranger: %v", sentinel.Addr(), parts)
		case primary != nil && named != primary:
			return nil, fmt.Errorf("redistest: the sentinels name both %s and %s", primary.Addr(), named.Addr())
		}
		primary = named
	}
	if primary == nil {
		return nil, errors.New("redistest: no sentinel is running")
	}
	return primary, nil
}

// Replica returns the server that is not the primary.
func (s *Sentinel) Replica() (*Server, error) {
	primary, err := s.Primary()
	if err != nil {
		return nil, err
	}
	return s.other(primary), nil
}

func (s *Sentinel) other(primary *Server) *Server {
	if primary == s.data[0] {
		return s.data[1]
	}
	return s.data[0]
}

// Failover asks a sentinel to promote the replica and returns when all
// sentinels agree and the former primary replicates the new one, whose
// server it returns. Nothing is killed.
func (s *Sentinel) Failover() (*Server, error) {
	old, err := s.Primary()
	if err != nil {
		return nil, err
	}
	promoted := s.other(old)
	err = poll(sentinelBound, "the failover", func() error {
		now, err := s.Primary()
		if err != nil {
			return err
		}
		if now == promoted {
			return s.check()
		}
		// Refused while a failover is going on and while the replica's state
		// is not known well enough.
		for _, sentinel := range s.sentinels {
			if sentinel.responsive() {
				_, err = sentinel.Do("SENTINEL", "FAILOVER", sentinelMaster)
				break
			}
		}
		if err != nil {
			return err
		}
		return fmt.Errorf("%s is still the primary", old.Addr())
	})
	if err != nil {
		return nil, err
	}
	return promoted, nil
}

// KillPrimary kills the primary as kill -9 does and returns it, for
// WaitPromoted and for Restart. The sentinels notice after DownAfter.
func (s *Sentinel) KillPrimary() (*Server, error) {
	primary, err := s.Primary()
	if err != nil {
		return nil, err
	}
	primary.Kill()
	return primary, nil
}

// WaitPromoted returns the new primary once all running sentinels name one
// that is not old and that considers itself a primary.
func (s *Sentinel) WaitPromoted(old *Server) (*Server, error) {
	var primary *Server
	err := poll(sentinelBound, "a promotion", func() error {
		var err error
		if primary, err = s.Primary(); err != nil {
			return err
		}
		if primary == old {
			return fmt.Errorf("%s is still the primary", old.Addr())
		}
		return checkRole(primary, "master")
	})
	if err != nil {
		return nil, err
	}
	return primary, nil
}

// WaitOK returns when primary and replica are in sync and every sentinel that
// runs has seen the other two, sees the replica, and sees nothing going on.
// After a killed primary was restarted, this is when it has become the replica.
func (s *Sentinel) WaitOK() error {
	return poll(sentinelBound, "the Sentinel set to be healthy", s.check)
}

func (s *Sentinel) check() error {
	primary, err := s.Primary()
	if err != nil {
		return err
	}
	if err := checkRole(primary, "master"); err != nil {
		return err
	}
	if err := checkReplicaOf(s.other(primary), primary); err != nil {
		return err
	}
	for _, sentinel := range s.sentinels {
		if !sentinel.responsive() {
			continue
		}
		if err := s.checkSentinel(sentinel); err != nil {
			return fmt.Errorf("sentinel %s: %w", sentinel.Addr(), err)
		}
	}
	return nil
}

func (s *Sentinel) checkSentinel(sentinel *Server) error {
	reply, err := sentinel.Do("SENTINEL", "MASTER", sentinelMaster)
	if err != nil {
		return err
	}
	master, err := asFields(reply)
	if err != nil {
		return err
	}
	for name, want := range map[string]string{
		"flags":               "master",
		"num-slaves":          "1",
		"num-other-sentinels": strconv.Itoa(sentinelCount - 1),
	} {
		if master[name] != want {
			return fmt.Errorf("%s is %q, not %q", name, master[name], want)
		}
	}
	if reply, err = sentinel.Do("SENTINEL", "REPLICAS", sentinelMaster); err != nil {
		return err
	}
	replicas, ok := reply.([]any)
	if !ok || len(replicas) != 1 {
		return fmt.Errorf("replicas are %v", reply)
	}
	replica, err := asFields(replicas[0])
	if err != nil {
		return err
	}
	if replica["flags"] != "slave" || replica["master-link-status"] != "ok" {
		return fmt.Errorf("the replica is %q, its link %q", replica["flags"], replica["master-link-status"])
	}
	_, err = sentinel.Do("SENTINEL", "CKQUORUM", sentinelMaster)
	return err
}

// Close ends all processes. It may be called twice.
func (s *Sentinel) Close() error {
	return closeServers(append(s.Sentinels(), s.data...))
}
