package rediskit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

const (
	// connBuffer is the size of a connection's read and of its write buffer. The client library's
	// half a megabyte each is no faster here, and every blocking call has a connection of its own.
	connBuffer = 64 << 10

	// maxBlocking is how many blocking calls one client runs at once on each node.
	maxBlocking = 1000

	keepAlive = time.Second
)

// Client is a connection to Redis, made by [Connect] or [Wrap]. It is safe for concurrent use. All
// goroutines share one pipelined connection to each node; calls that block have connections of their own.
type Client struct {
	rc     rueidis.Client
	cfg    Config
	addr   string // for errors
	log    *slog.Logger
	conns  *conns // nil for a wrapped client
	block  blocker
	closed atomic.Bool

	apart     chan struct{} // see the function of that name
	rechecked atomic.Bool   // a look at silent connections is scheduled
	demoting  sync.Mutex    // held while a demoted primary is looked into
	lookedAt  atomic.Int64  // UnixNano of the last such look

	closeOnce sync.Once
}

// Connect connects to Redis and makes sure that it answers and is of a supported version: Redis 6.2 or
// Valkey 7.2 and newer. A single address that turns out to be a node of a cluster is used as a cluster.
//
// Connect tries once and ends within ctx and Config.DialTimeout. It returns an error that names the
// field for a bad Config, and a [*ConnectionError] with the address and the cause otherwise.
func Connect(ctx context.Context, cfg Config) (*Client, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	cfg.Addrs = slices.Clone(cfg.Addrs)
	ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()

	c, err := openVerified(ctx, cfg)
	if errors.Is(err, errIsCluster) {
		cfg.Cluster = true
		c, err = openVerified(ctx, cfg)
	}
	if err != nil {
		return nil, cfg.withoutPasswords(err)
	}
	return c, nil
}

func openVerified(ctx context.Context, cfg Config) (*Client, error) {
	c, err := open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := c.verify(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// withoutPasswords is for an answer that repeats the command it is about: a server that does not know AUTH
// does that, and says the password.
func (c Config) withoutPasswords(err error) error {
	var re *rueidis.RedisError
	if !errors.As(err, &re) {
		return err
	}
	text := re.Error()
	for _, password := range []string{c.Password, c.Sentinel.Password} {
		if password != "" {
			text = strings.ReplaceAll(text, password, "***")
		}
	}
	if text == re.Error() {
		return err
	}
	return &ConnectionError{Addr: strings.Join(c.Addrs, ","), Err: errors.New(text)}
}

// Wrap makes a Client of a client of the caller's, whose settings stay as they are. Closing the Client
// leaves it open. Three things need [Connect]: replacing the connections to a demoted primary or to a
// silent server at once (the wrapped client's own ways apply), and time-outs (zero values of Config apply
// to the retries and to Health).
//
// A client that retries by itself, as rueidis does unless DisableRetry is set, retries within each of
// rediskit's attempts. One with a ConnLifetime sends again whatever has been in flight for a second when a
// connection's life ends, also what may not be repeated: do not set it.
func Wrap(rc rueidis.Client) *Client {
	return newClient(rc, Config{}.withDefaults(), "wrapped client", nil)
}

func newClient(rc rueidis.Client, cfg Config, addr string, cs *conns) *Client {
	c := &Client{rc: rc, cfg: cfg, addr: addr, log: cfg.Logger, conns: cs,
		apart: make(chan struct{}, maxApart)}
	c.block.init()
	return c
}

// open builds the client without asking the server anything but what the client library asks.
func open(ctx context.Context, cfg Config) (*Client, error) {
	addr := strings.Join(cfg.Addrs, ",")
	cs := newConns()
	opt := cfg.options(cs)

	// The client library dials without a context. Closing what it dials makes it return.
	stop := context.AfterFunc(ctx, cs.shut)
	rc, err := rueidis.NewClient(opt)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		cs.shut()
		if rc != nil {
			rc.Close()
		}
		if ctx.Err() != nil {
			err = fmt.Errorf("%w (%w)", ctx.Err(), err)
		}
		return nil, &ConnectionError{Addr: addr, Err: err}
	}
	return newClient(rc, cfg, addr, cs), nil
}

func (c Config) options(cs *conns) rueidis.ClientOption {
	opt := rueidis.ClientOption{
		InitAddress:       c.Addrs,
		Username:          c.Username,
		Password:          c.Password,
		SelectDB:          c.DB,
		ClientName:        c.ClientName,
		TLSConfig:         c.TLS,
		DialCtxFn:         cs.dial,
		ForceSingleClient: !c.Cluster && c.Sentinel.Master == "",

		ConnWriteTimeout:    c.CommandTimeout,
		MaxFlushDelay:       c.FlushDelay,
		ReadBufferEachConn:  connBuffer,
		WriteBufferEachConn: connBuffer,
		PipelineMultiplex:   -1, // one connection to a node: measured faster than several

		BlockingPoolSize:    maxBlocking + 24, // large pipelines use that pool too
		BlockingPoolCleanup: time.Minute,

		DisableRetry: true, // rediskit's own rules for repeating apply, and no others
		DisableCache: true, // client-side caching has a connection of its own where it is used
	}
	opt.Dialer.Timeout = c.DialTimeout
	opt.Dialer.KeepAlive = keepAlive
	opt.ClusterOption.ShardsRefreshInterval = c.TopologyRefresh
	if c.Sentinel.Master != "" {
		opt.Sentinel = rueidis.SentinelOption{
			MasterSet:               c.Sentinel.Master,
			Username:                c.Sentinel.Username,
			Password:                c.Sentinel.Password,
			ClientName:              c.ClientName,
			TLSConfig:               c.Sentinel.TLS,
			Dialer:                  sentinelDialer(opt.Dialer),
			TopologyRefreshInterval: c.TopologyRefresh,
		}
	}
	return opt
}

var errIsCluster = errors.New("the server is a cluster's node")

// verify makes sure that the server answers and is one rediskit is written for.
func (c *Client) verify(ctx context.Context) error {
	text, err := c.askServer(ctx)
	if err != nil {
		return c.connectError(err)
	}
	info := parseInfo(text)
	if info["redis_mode"] == "cluster" && !c.cfg.Cluster && c.cfg.Sentinel.Master == "" {
		return errIsCluster
	}
	if product, version, ok := supported(info); !ok {
		return c.connectError(fmt.Errorf("%s %s is too old: want Redis 6.2 or Valkey 7.2 and newer", product, version))
	}
	return nil
}

// askServer returns the server's reply to INFO, after one to PING.
func (c *Client) askServer(ctx context.Context) (string, error) {
	if c.rc.Mode() == rueidis.ClientModeCluster {
		return c.askCluster(ctx)
	}
	if err := c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Ping().Build() }).Error(); err != nil {
		return "", err
	}
	text, err := c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Info().Section("server").Build()
	}).ToString()
	if err != nil {
		return "", fmt.Errorf("asking for the version: %w", err)
	}
	return text, nil
}

// askCluster asks all nodes at once and takes the first reply: the client library would choose one, and it might
// choose one that is gone.
func (c *Client) askCluster(ctx context.Context) (string, error) {
	type reply struct {
		text string
		err  error
	}
	nodes := c.rc.Nodes()
	replies := make(chan reply, len(nodes))
	for _, node := range nodes {
		go func() {
			// Not the caller's context, which ends with the first reply: see askSlots.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.DialTimeout)
			defer cancel()
			text, err := node.Do(ctx, node.B().Info().Section("server").Build()).ToString()
			replies <- reply{text, err}
		}()
	}
	var err error
	for range nodes {
		select {
		case r := <-replies:
			if r.err == nil {
				return r.text, nil
			}
			err = r.err
		case <-ctx.Done():
			return "", errors.Join(ctx.Err(), err)
		}
	}
	if err == nil {
		err = errors.New("the cluster has no known node")
	}
	return "", err
}

// connectError gives an answer such as NOAUTH the address it lacks.
func (c *Client) connectError(err error) error {
	var ce *ConnectionError
	if errors.As(err, &ce) {
		return err
	}
	return &ConnectionError{Addr: c.addr, Err: err}
}

func supported(info map[string]string) (product, version string, ok bool) {
	product, version = serverVersion(info)
	minMajor, minMinor := 6, 2
	if product == "valkey" {
		minMajor, minMinor = 7, 2
	}
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return product, version, false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return product, version, false
	}
	return product, version, major > minMajor || major == minMajor && minor >= minMinor
}

func serverVersion(info map[string]string) (product, version string) {
	if v := info["valkey_version"]; v != "" {
		return "valkey", v
	}
	return "redis", info["redis_version"]
}

// parseInfo reads the reply of INFO into its fields.
func parseInfo(text string) map[string]string {
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok && !strings.HasPrefix(name, "#") {
			info[name] = value
		}
	}
	return info
}

// Redis returns the rueidis client below, for everything rediskit has no call for. Commands sent there
// are not repeated after a failure. Its blocking commands can lose an element when their context ends:
// use [Client.Block] for those. Do not close it.
func (c *Client) Redis() rueidis.Client { return c.rc }

// Close waits for the replies of commands that were sent, for about a second; lets blocking calls end, which
// takes up to about Config.CommandTimeout if the server is out of reach; closes the connections and ends
// background work. Calls made after it return a [*ConnectionError] with [ErrClosed]. It may be called more than
// once. A wrapped client stays open.
func (c *Client) Close() {
	c.closeOnce.Do(func() {
		c.closed.Store(true)
		c.block.close()
		if c.conns == nil {
			return
		}
		// The client library may be making connections and let its own Close wait for them.
		c.conns.stop()
		if c.rc.Mode() == rueidis.ClientModeCluster {
			// It would close the nodes in the background, and what comes next would cut them off.
			var wg sync.WaitGroup
			for _, node := range c.rc.Nodes() {
				wg.Go(node.Close)
			}
			wg.Wait()
		}
		c.rc.Close()
		c.conns.shut()
	})
}

// String tells where the client is connected to, without passwords.
func (c *Client) String() string { return "rediskit.Client(" + c.addr + ")" }

// GoString is String, so that %#v shows no password either.
func (c *Client) GoString() string { return c.String() }
