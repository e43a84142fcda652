package redistest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	startBound    = 20 * time.Second
	stopBound     = 15 * time.Second // a primary may wait 10 s for its replicas
	adminBound    = 5 * time.Second  // one administrative command
	startAttempts = 10
	logTailLines  = 20
)

// ServerConfig says what to start. The zero value is a server on a free port
// that keeps nothing on disk and asks for no password.
type ServerConfig struct {
	// Args are further directives as on the server's command line, and win
	// over the defaults: "--maxmemory", "10mb", "--appendonly", "yes". A
	// directive begins with "--", so no value can.
	Args []string

	// Dir keeps the server's data and log. It is created when missing and
	// never removed. Default: a temporary directory that Close removes.
	Dir string

	// Port on 127.0.0.1. Default: a free one.
	Port int

	// Password, when set, is asked of every client and used by Do. With a
	// Username it belongs to that ACL user, who may do everything, and the
	// default user is off; without, it is the default user's. Further users go
	// through Args ("--user", "app", "on", ">secret", "~app:*", "+@all").
	Username, Password string

	// TLS makes the port speak TLS only and demand a client certificate. See
	// [Server.Certificates].
	TLS bool
}

func (c ServerConfig) validate() error {
	if c.Port < 0 || c.Port > 65535 {
		return fmt.Errorf("redistest: Port %d is not a port", c.Port)
	}
	if c.Username != "" && c.Password == "" {
		return errors.New("redistest: Username without Password")
	}
	if len(c.Args) > 0 && !strings.HasPrefix(c.Args[0], "--") {
		return fmt.Errorf("redistest: Args begin with %q, not with a --directive", c.Args[0])
	}
	return nil
}

// directives returns the lines of the configuration file, later ones winning.
func (c ServerConfig) directives() [][]string {
	var lines [][]string
	if c.Password != "" {
		if c.Username == "" {
			lines = append(lines, []string{"requirepass", c.Password})
		} else {
			lines = append(lines,
				[]string{"user", "default", "off"},
				[]string{"user", c.Username, "on", ">" + c.Password, "~*", "&*", "+@all"},
				[]string{"masteruser", c.Username})
		}
		lines = append(lines, []string{"masterauth", c.Password})
	}
	for _, arg := range c.Args {
		if name, ok := strings.CutPrefix(arg, "--"); ok {
			lines = append(lines, []string{name})
		} else {
			lines[len(lines)-1] = append(lines[len(lines)-1], arg)
		}
	}
	return lines
}

// Server is one server process. Its methods may be called concurrently.
type Server struct {
	config   ServerConfig
	sentinel bool
	binary   string
	dir      string   // data and log
	small    string   // socket, configuration, certificates; see smallDir
	remove   []string // of those, what Close removes
	port     int
	certs    *Certificates

	mu     sync.Mutex
	proc   *process // nil when closed or never started
	paused bool
	closed bool
}

// StartServer starts a server and returns when it answers, or fails within
// 20 seconds with the end of its log in the error. Without a server installed
// the error wraps [ErrNoServer].
func StartServer(config ServerConfig) (*Server, error) {
	return startServer(config, false)
}

func startServer(config ServerConfig, sentinel bool) (*Server, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	binary, err := FindBinary()
	if err != nil {
		return nil, err
	}
	s := &Server{config: config, sentinel: sentinel, binary: binary}
	if err := s.prepare(); err != nil {
		s.Close()
		return nil, err
	}
	for range startAttempts {
		if s.port = config.Port; s.port == 0 {
			if s.port, err = freePort(); err != nil {
				break
			}
		}
		if err = s.writeConfig(); err != nil {
			break
		}
		err = s.launch()
		// Between choosing a port and binding it another process may take it.
		if err == nil || config.Port != 0 || !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// prepare makes the directories and, for TLS, the certificates.
func (s *Server) prepare() error {
	var err error
	if s.small, err = smallDir(); err != nil {
		return fmt.Errorf("redistest: %w", err)
	}
	s.remove = append(s.remove, s.small)
	// sockaddr_un holds 104 bytes on some systems, the last of them zero.
	if len(s.Socket()) > 103 {
		return fmt.Errorf("redistest: TMPDIR is too long for a unix socket: %s", s.Socket())
	}
	if s.config.Dir == "" {
		if s.dir, err = os.MkdirTemp("", "redistest"); err != nil {
			return fmt.Errorf("redistest: %w", err)
		}
		s.remove = append(s.remove, s.dir)
	} else {
		if s.dir, err = filepath.Abs(s.config.Dir); err == nil {
			err = os.MkdirAll(s.dir, 0o700)
		}
		if err != nil {
			return fmt.Errorf("redistest: Dir: %w", err)
		}
	}
	if s.config.TLS {
		s.certs, err = newCertificates(s.small)
	}
	return err
}

// smallDir makes a temporary directory, in memory where the system offers
// that. Sentinels and cluster nodes sync their configuration at every change
// and do nothing else until that is done: on a busy disk long enough for the
// others to give them up.
func smallDir() (string, error) {
	if dir, err := os.MkdirTemp("/dev/shm", "redistest"); err == nil {
		return dir, nil
	}
	return os.MkdirTemp("", "redistest")
}

// writeConfig writes the configuration file. It is written once a server: what
// the server itself rewrites, as Sentinel and CONFIG REWRITE do, stays.
func (s *Server) writeConfig() error {
	lines := [][]string{
		{"bind", "127.0.0.1"},
		{"protected-mode", "no"},
		{"daemonize", "no"},
		{"dir", s.dir},
		{"cluster-config-file", filepath.Join(s.small, "nodes.conf")},
		{"unixsocket", s.Socket()},
		{"unixsocketperm", "700"},
		{"save", ""},
		{"appendonly", "no"},
		{"repl-diskless-sync", "yes"},
		{"repl-diskless-sync-delay", "0"}, // else a replica waits 5 s for others to join
	}
	if s.config.TLS {
		lines = append(lines,
			[]string{"port", "0"},
			[]string{"tls-port", strconv.Itoa(s.port)},
			[]string{"tls-ca-cert-file", s.certs.CAFile},
			[]string{"tls-cert-file", s.certs.ServerCertFile},
			[]string{"tls-key-file", s.certs.ServerKeyFile},
			[]string{"tls-auth-clients", "yes"})
	} else {
		lines = append(lines, []string{"port", strconv.Itoa(s.port)})
	}
	lines = append(lines, s.config.directives()...)
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(line[0])
		for _, arg := range line[1:] {
			text.WriteString(" " + quoteDirective(arg))
		}
		text.WriteString("\n")
	}
	if err := os.WriteFile(s.configFile(), []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("redistest: %w", err)
	}
	return nil
}

// quoteDirective quotes an argument as the configuration file's parser reads it.
func quoteDirective(arg string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(arg) {
		switch c := arg[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

var errPortTaken = errors.New("the port is taken")

// launch starts the process and waits until it answers.
func (s *Server) launch() error {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("redistest: %w", err)
	}
	defer log.Close()
	before, err := log.Stat()
	if err != nil {
		return fmt.Errorf("redistest: %w", err)
	}
	args := []string{s.configFile()}
	if s.sentinel {
		args = append(args, "--sentinel")
	}
	if s.proc, err = startProcess(s.binary, args, log, s.remove); err != nil {
		return fmt.Errorf("redistest: %w", err)
	}
	s.paused = false
	err = poll(startBound, "the server to answer PING", func() error {
		if !s.proc.alive() {
			return nil // told apart below, without waiting for the bound
		}
		return s.ping()
	})
	if err == nil && s.proc.alive() {
		if s.sentinel {
			quicken(s)
		}
		return nil
	}
	s.proc.kill()
	output := readFrom(s.logFile(), before.Size())
	switch {
	case err != nil:
		return fmt.Errorf("%w%s", err, tail(output))
	case strings.Contains(output, "Address already in use"):
		return fmt.Errorf("redistest: %s: %w%s", s.Addr(), errPortTaken, tail(output))
	case s.config.TLS && strings.Contains(output, ">>> 'tls-port"):
		return fmt.Errorf("redistest: TLS: %s was built without it%s", s.binary, tail(output))
	default:
		return fmt.Errorf("redistest: %s ended at once%s", s.binary, tail(output))
	}
}

// ping reports whether the server takes commands. It asks over the unix
// socket, which nobody else can be listening on, and which the server opens
// after it has bound the port.
func (s *Server) ping() error {
	c, err := dialRESP("unix", s.Socket(), "", "", time.Now().Add(adminBound))
	if err != nil {
		return err
	}
	defer c.close()
	_, err = c.do("PING")
	var refusal ReplyError
	if errors.As(err, &refusal) && refusal.Code() != "LOADING" {
		return nil // it wants a password, or a replica has no primary yet: it is up
	}
	return err
}

// Addr returns the server's "127.0.0.1:port".
func (s *Server) Addr() string { return localAddr(s.port) }

// Port returns the TCP port, which is the same after Restart.
func (s *Server) Port() int { return s.port }

// Socket returns the path of the unix socket that every server listens on.
func (s *Server) Socket() string { return filepath.Join(s.small, "s") }

// Dir returns where the server keeps its data and log.
func (s *Server) Dir() string { return s.dir }

// Certificates returns what TLS clients need, or nil without TLS.
func (s *Server) Certificates() *Certificates { return s.certs }

func (s *Server) configFile() string { return filepath.Join(s.small, "server.conf") }
func (s *Server) logFile() string    { return filepath.Join(s.dir, "server.log") }

// Pid returns the process id, or 0 while the server is not running.
func (s *Server) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return 0
	}
	return s.proc.pid
}

// responsive reports whether the server can answer: it runs and is not paused.
func (s *Server) responsive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running() && !s.paused
}

func (s *Server) running() bool { return s.proc != nil && s.proc.alive() }

// Kill ends the process as kill -9 does and returns when it is gone. It does
// nothing to a server that is not running.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.kill()
	}
}

// Stop shuts the server down in order, as SIGTERM does: a server that persists
// saves first. One that takes longer than 15 seconds is killed, and that is
// the error. It does nothing to a server that is not running.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stop()
}

func (s *Server) stop() error {
	if s.proc == nil {
		return nil
	}
	return s.proc.terminate(stopBound)
}

// Restart starts the server again on the same port and directory, after
// stopping it in order if it runs. After Kill this is a crash and a recovery.
// Data survives only where Args turned persistence on.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("redistest: Restart of a closed server")
	}
	if err := s.stop(); err != nil {
		return err
	}
	return s.launch()
}

// Pause freezes the process with SIGSTOP: its connections stay, the system
// still accepts new ones, and nothing is answered until Resume.
func (s *Server) Pause() error { return s.freeze(true) }

// Resume lets a paused server go on with what has piled up.
func (s *Server) Resume() error { return s.freeze(false) }

func (s *Server) freeze(paused bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return fmt.Errorf("redistest: server %s is not running", s.Addr())
	}
	signal := s.proc.cont
	if paused {
		signal = s.proc.stop
	}
	if err := signal(); err != nil {
		return fmt.Errorf("redistest: %w", err)
	}
	s.paused = paused
	return nil
}

// Do sends one command over a connection of its own and returns the reply: a
// string, an int64, nil, or a []any of these and of [ReplyError]s. An error
// reply comes back as an error that is a ReplyError. It gives up after 5
// seconds, when the command may or may not have been executed.
func (s *Server) Do(args ...string) (any, error) {
	if len(args) == 0 {
		return nil, errors.New("redistest: Do without a command")
	}
	reply, err := s.do(args...)
	if err != nil {
		return nil, fmt.Errorf("redistest: %s at %s: %w", args[0], s.Addr(), err)
	}
	return reply, nil
}

func (s *Server) do(args ...string) (any, error) {
	c, err := dialRESP("unix", s.Socket(), s.config.Username, s.config.Password, time.Now().Add(adminBound))
	if err != nil {
		return nil, err
	}
	defer c.close()
	return c.do(args...)
}

// text sends a command whose reply is a string.
func (s *Server) text(args ...string) (string, error) {
	reply, err := s.Do(args...)
	if err != nil {
		return "", err
	}
	text, ok := reply.(string)
	if !ok {
		return "", fmt.Errorf("redistest: %s at %s: reply is %T, not a string", args[0], s.Addr(), reply)
	}
	return text, nil
}

// info returns a section of INFO.
func (s *Server) info(section string) (map[string]string, error) {
	text, err := s.text("INFO", section)
	if err != nil {
		return nil, err
	}
	return parseInfo(text), nil
}

// Log returns what the server has written since it was first started.
func (s *Server) Log() string { return readFrom(s.logFile(), 0) }

// Close kills the server if it still runs, reaps it, and removes its temporary
// directories. It may be called twice.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.proc != nil {
		s.proc.kill()
		s.proc = nil
	}
	var errs []error
	for _, dir := range s.remove {
		if err := os.RemoveAll(dir); err != nil {
			errs = append(errs, fmt.Errorf("redistest: %w", err))
		}
	}
	return errors.Join(errs...)
}

// readFrom returns the file's content past an offset; a log that cannot be
// read is empty.
func readFrom(path string, offset int64) string {
	data, err := os.ReadFile(path)
	if err != nil || int64(len(data)) < offset {
		return ""
	}
	return string(data[offset:])
}

// tail formats the last lines of a log for the end of an error.
func tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	if len(lines) > logTailLines {
		lines = lines[len(lines)-logTailLines:]
	}
	return "; its log ends:\n" + strings.Join(lines, "\n")
}
