package embedded

import (
	"fmt"
	"sync"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
)

// Server is an in-process server with a client connected to it.
type Server struct {
	mini   *miniredis.Miniredis
	rc     rueidis.Client
	client *rediskit.Client
	once   sync.Once
}

// Start starts a server on a free port of 127.0.0.1 and connects to it. Keys expire with the wall clock.
func Start() (*Server, error) {
	mini := miniredis.NewMiniRedis()
	mini.ClockTTL(true)
	if err := mini.Start(); err != nil {
		return nil, fmt.Errorf("embedded: starting the server: %w", err)
	}
	rc, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress:       []string{mini.Addr()},
		ForceSingleClient: true, // it answers CLUSTER SLOTS, but is no cluster
		DisableCache:      true, // it has no client tracking
		DisableRetry:      true, // rediskit's own rules apply
	})
	if err != nil {
		mini.Close()
		return nil, fmt.Errorf("embedded: connecting to the server: %w", err)
	}
	return &Server{mini: mini, rc: rc, client: rediskit.Wrap(rc)}, nil
}

// Addr returns the address, "127.0.0.1:port", for other clients.
func (s *Server) Addr() string { return s.mini.Addr() }

// Client returns the client that Start connected. Close closes it.
func (s *Server) Client() *rediskit.Client { return s.client }

// Close closes the client and stops the server. It may be called more than once.
func (s *Server) Close() {
	s.once.Do(func() {
		s.client.Close()
		s.rc.Close()
		s.mini.Close()
	})
}
