package redistest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestServerAnswersOnItsPort(t *testing.T) {
	s := started(t, ServerConfig{})
	c := dial(t, s.Addr())
	if got, err := c.do("SET", "k", "v"); got != "OK" || err != nil {
		t.Fatalf("got %v and error %v", got, err)
	}
	expect(t, s, "v", "GET", "k")
	expect(t, s, nil, "GET", "none")
	if !strings.Contains(s.Log(), "Ready to accept connections") {
		t.Errorf("log is %q", s.Log())
	}
}

func TestServersStartedAtOnceDoNotMeet(t *testing.T) {
	servers := must(startServers(8, ServerConfig{}, false))(t)
	t.Cleanup(func() { closeServers(servers) })
	seen := make(map[int]bool)
	for _, s := range servers {
		if seen[s.Port()] {
			t.Fatalf("port %d twice", s.Port())
		}
		seen[s.Port()] = true
		if s.Port() >= 32768 || s.Port()+busPortOffset >= 32768 {
			t.Errorf("port %d or its bus port is in the ephemeral range", s.Port())
		}
		if pid := must(s.info("server"))(t)["tcp_port"]; !strings.HasSuffix(s.Addr(), ":"+pid) {
			t.Errorf("%s says it listens on %s", s.Addr(), pid)
		}
	}
}

func TestArgsWinOverDefaults(t *testing.T) {
	s := started(t, ServerConfig{Args: []string{"--maxmemory", "10mb", "--appendonly", "yes", "--save", "60", "1"}})
	for name, want := range map[string]string{"maxmemory": "10485760", "appendonly": "yes", "save": "60 1"} {
		pair := must(asStrings(must(s.Do("CONFIG", "GET", name))(t)))(t)
		if pair[1] != want {
			t.Errorf("%s is %q, want %q", name, pair[1], want)
		}
	}
}

func TestKilledServerComesBackOnItsPortWithWhatItPersisted(t *testing.T) {
	s := started(t, ServerConfig{Args: []string{"--appendonly", "yes", "--appendfsync", "always"}})
	expect(t, s, "OK", "SET", "k", "v")
	addr, pid := s.Addr(), s.Pid()
	s.Kill()
	s.Kill()
	if err := checkRefused(addr); err != nil {
		t.Error(err)
	}
	if s.Pid() != 0 {
		t.Errorf("a killed server has pid %d", s.Pid())
	}
	if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
		t.Errorf("process %d was not reaped: %v", pid, err)
	}
	if _, err := s.Do("PING"); err == nil {
		t.Error("a killed server answers")
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if s.Addr() != addr || s.Pid() == pid || s.Pid() == 0 {
		t.Errorf("restarted at %s with pid %d, before %s and %d", s.Addr(), s.Pid(), addr, pid)
	}
	expect(t, s, "v", "GET", "k")
}

func TestRestartOfARunningServerLosesWhatIsNotPersisted(t *testing.T) {
	s := started(t, ServerConfig{})
	expect(t, s, "OK", "SET", "k", "v")
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	expect(t, s, nil, "GET", "k")
}

func TestStopLetsTheServerSaveAndDirStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	s := started(t, ServerConfig{Dir: dir, Args: []string{"--save", "3600", "1"}})
	expect(t, s, "OK", "SET", "k", "v")
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil { // also one that is paused
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dump.rdb", "server.log"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestPausedServerAnswersWhenResumed(t *testing.T) {
	s := started(t, ServerConfig{})
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	conn := must(net.Dial("tcp", s.Addr()))(t) // the system accepts for it
	defer conn.Close()
	must(conn.Write([]byte("PING\r\n")))(t)
	conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	reply := make([]byte, 7)
	if _, err := conn.Read(reply); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a paused server answers %q, error %v", reply, err)
	}
	if s.Pid() == 0 {
		t.Error("a paused server counts as gone")
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Read(reply); err != nil || string(reply) != "+PONG\r\n" {
		t.Fatalf("got %q and error %v", reply, err)
	}
}

func TestPauseNeedsARunningServer(t *testing.T) {
	s := started(t, ServerConfig{})
	s.Kill()
	if s.Pause() == nil || s.Resume() == nil {
		t.Error("no error")
	}
}

func TestPasswordIsAskedOfEverybody(t *testing.T) {
	const password = "pass \"word\" \\ \n \xff '#"
	for _, username := range []string{"", "app"} {
		s := started(t, ServerConfig{Username: username, Password: password})
		var refusal ReplyError
		if _, err := dial(t, s.Addr()).do("GET", "k"); !errors.As(err, &refusal) || refusal.Code() != "NOAUTH" {
			t.Errorf("user %q: got error %v without a password", username, err)
		}
		expect(t, s, "OK", "SET", "k", "v")
		user := username
		if user == "" {
			user = "default"
		}
		expect(t, s, user, "ACL", "WHOAMI")
	}
}

func TestUsersThroughArgs(t *testing.T) {
	s := started(t, ServerConfig{Args: []string{"--user", "reader", "on", ">secret", "~app:*", "+get"}})
	c := must(dialRESP("tcp", s.Addr(), "reader", "secret", time.Now().Add(time.Minute)))(t)
	defer c.close()
	if _, err := c.do("GET", "app:k"); err != nil {
		t.Error(err)
	}
	if _, err := c.do("GET", "other"); err == nil {
		t.Error("no error outside the user's keys")
	}
}

func TestTLSServerDemandsTheClientsCertificate(t *testing.T) {
	s := started(t, ServerConfig{TLS: true})
	config := must(s.Certificates().ClientConfig())(t)
	ping := func(config *tls.Config) (string, error) {
		conn, err := tls.Dial("tcp", s.Addr(), config)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := conn.Write([]byte("PING\r\n")); err != nil {
			return "", err
		}
		reply := make([]byte, 7)
		_, err = conn.Read(reply)
		return string(reply), err
	}
	if got, err := ping(config); got != "+PONG\r\n" || err != nil {
		t.Errorf("got %q and error %v", got, err)
	}
	anonymous := config.Clone()
	anonymous.Certificates = nil
	if got, err := ping(anonymous); err == nil {
		t.Errorf("without a certificate: got %q", got)
	}
	stranger := config.Clone()
	stranger.RootCAs = nil
	var untrusted *tls.CertificateVerificationError
	if _, err := ping(stranger); !errors.As(err, &untrusted) {
		t.Errorf("without the authority: got error %v", err)
	}
	expect(t, s, "PONG", "PING")
	if started(t, ServerConfig{}).Certificates() != nil {
		t.Error("certificates without TLS")
	}
}

func TestStartFailsWithTheEndOfTheLog(t *testing.T) {
	dir := t.TempDir()
	_, err := StartServer(ServerConfig{Dir: dir, Args: []string{"--no-such-directive", "1"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-directive") {
		t.Fatalf("got error %v", err)
	}
}

func TestPortOfAnotherIsAnErrorAndNeverTakenForOurs(t *testing.T) {
	other := started(t, ServerConfig{})
	_, err := StartServer(ServerConfig{Port: other.Port()})
	if !errors.Is(err, errPortTaken) {
		t.Fatalf("got error %v", err)
	}
	expect(t, other, "PONG", "PING")
}

func TestBadConfigIsNamed(t *testing.T) {
	for want, config := range map[string]ServerConfig{
		"Port":     {Port: 70000},
		"Username": {Username: "app"},
		"Args":     {Args: []string{"maxmemory", "1"}},
	} {
		if _, err := StartServer(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v", want, err)
		}
	}
	s := started(t, ServerConfig{})
	if _, err := s.Do(); err == nil {
		t.Error("no error for no command")
	}
}

func TestErrorRepliesComeBackAsReplyErrors(t *testing.T) {
	s := started(t, ServerConfig{})
	expect(t, s, "OK", "SET", "k", "v")
	_, err := s.Do("LPUSH", "k", "v")
	var refusal ReplyError
	if !errors.As(err, &refusal) || refusal.Code() != "WRONGTYPE" || !strings.Contains(err.Error(), s.Addr()) {
		t.Fatalf("got error %v", err)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	s := started(t, ServerConfig{})
	pid, dirs := s.Pid(), []string{s.Dir(), filepath.Dir(s.Socket())}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
		t.Errorf("process %d is there: %v", pid, err)
	}
	for _, dir := range dirs {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is there: %v", dir, err)
		}
	}
	if s.Restart() == nil {
		t.Error("a closed server restarts")
	}
}

func TestServerDiesWithTheProcessThatStartedIt(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), dieEnv+"=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	said := strings.Fields(string(out))
	if len(said) != 3 {
		t.Fatalf("the child says %q, %q, %v", out, stderr.String(), err)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the child ended with %v", cmd.ProcessState)
	}
	eventually(t, "the server to end", func() error { return checkRefused(said[0]) })
	for _, dir := range said[1:] {
		eventually(t, "its directory to go", func() error {
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				return errors.New("it is there")
			}
			return nil
		})
	}
}

func TestKillDuringCommandsAndRestarts(t *testing.T) {
	s := started(t, ServerConfig{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				s.Do("INCR", "k") // may fail; must not race
				s.Pid()
			}
		})
	}
	for range 5 {
		s.Kill()
		if err := s.Restart(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	expect(t, s, "PONG", "PING")
}
