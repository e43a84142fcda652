package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// A ReplyError is an error that the server replied with, such as
// "NOAUTH Authentication required.".
type ReplyError string

func (e ReplyError) Error() string { return string(e) }

// Code returns the first word of the error: "NOAUTH", "ERR", "LOADING".
func (e ReplyError) Code() string {
	code, _, _ := strings.Cut(string(e), " ")
	return code
}

// Bounds on what a reply may claim. Memory is taken as the bytes arrive and not
// as they are announced.
const (
	maxBulkLength  = 512 << 20 // the server's own limit for a value
	maxArrayLength = 1 << 20
	maxReplyDepth  = 16
)

// respConn is as much of a client as administration needs: RESP2, one command
// at a time. Independent of rediskit's connection layer on purpose, because
// it serves to prove that layer correct.
type respConn struct {
	conn net.Conn
	r    *bufio.Reader
}

// dialRESP connects and, when password is not empty, authenticates. The
// deadline covers the connection's whole life.
func dialRESP(network, addr, username, password string, deadline time.Time) (*respConn, error) {
	conn, err := (&net.Dialer{Deadline: deadline}).Dial(network, addr)
	if err != nil {
		return nil, err
	}
	c := &respConn{conn: conn, r: bufio.NewReader(conn)}
	if err := conn.SetDeadline(deadline); err != nil {
		conn.Close()
		return nil, err
	}
	if password != "" {
		auth := []string{"AUTH", password}
		if username != "" {
			auth = []string{"AUTH", username, password}
		}
		if _, err := c.do(auth...); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return c, nil
}

func (c *respConn) close() { c.conn.Close() }

// do sends one command and returns its reply: string, int64, nil or []any of
// these and of ReplyErrors. An error reply comes back as the error.
func (c *respConn) do(args ...string) (any, error) {
	request := make([]byte, 0, 64)
	request = fmt.Appendf(request, "*%d\r\n", len(args))
	for _, arg := range args {
		request = fmt.Appendf(request, "$%d\r\n", len(arg))
		request = append(request, arg...)
		request = append(request, '\r', '\n')
	}
	if _, err := c.conn.Write(request); err != nil {
		return nil, err
	}
	reply, err := readReply(c.r, maxReplyDepth)
	if err != nil {
		return nil, err
	}
	if e, ok := reply.(ReplyError); ok {
		return nil, e
	}
	return reply, nil
}

// readReply reads a reply in which arrays nest at most depth deep.
func readReply(r *bufio.Reader, depth int) (any, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 3 || !strings.HasSuffix(line, "\r\n") {
		return nil, fmt.Errorf("malformed reply line %q", line)
	}
	kind, text := line[0], line[1:len(line)-2]
	switch kind {
	case '+':
		return text, nil
	case '-':
		return ReplyError(text), nil
	case ':':
		return strconv.ParseInt(text, 10, 64)
	case '$':
		n, err := parseLength(text, maxBulkLength)
		if err != nil || n < 0 {
			return nil, err
		}
		var bulk strings.Builder
		if _, err := io.CopyN(&bulk, r, int64(n)); err != nil {
			return nil, err
		}
		_, err = r.Discard(len("\r\n"))
		return bulk.String(), err
	case '*':
		n, err := parseLength(text, maxArrayLength)
		if err != nil || n < 0 {
			return nil, err
		}
		if depth == 0 {
			return nil, errors.New("reply is nested too deep")
		}
		array := []any{}
		for range n {
			element, err := readReply(r, depth-1)
			if err != nil {
				return nil, err
			}
			array = append(array, element)
		}
		return array, nil
	default:
		return nil, fmt.Errorf("malformed reply line %q", line)
	}
}

// parseLength returns -1 for the length of a nil reply.
func parseLength(text string, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < -1 || n > most {
		return 0, fmt.Errorf("malformed reply length %q", text)
	}
	return n, nil
}

// asStrings turns a reply that must be an array of strings into a slice.
func asStrings(reply any) ([]string, error) {
	array, ok := reply.([]any)
	if !ok {
		return nil, fmt.Errorf("reply is %T, not an array", reply)
	}
	out := make([]string, len(array))
	for i, v := range array {
		if out[i], ok = v.(string); !ok {
			return nil, fmt.Errorf("reply element %d is %T, not a string", i, v)
		}
	}
	return out, nil
}

// asFields turns a flat array of names and values into a map.
func asFields(reply any) (map[string]string, error) {
	flat, err := asStrings(reply)
	if err != nil {
		return nil, err
	}
	if len(flat)%2 != 0 {
		return nil, errors.New("reply has a name without a value")
	}
	fields := make(map[string]string, len(flat)/2)
	for i := 0; i < len(flat); i += 2 {
		fields[flat[i]] = flat[i+1]
	}
	return fields, nil
}

// parseInfo reads the "name:value" lines of INFO and CLUSTER INFO.
func parseInfo(text string) map[string]string {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}
