package redistest

import (
	"bufio"
	"reflect"
	"strings"
	"testing"
)

func TestRepliesAreDecoded(t *testing.T) {
	for wire, want := range map[string]any{
		"+OK\r\n":                "OK",
		":-7\r\n":                int64(-7),
		"$3\r\na\r\n\r\n":        "a\r\n",
		"$0\r\n\r\n":             "",
		"$-1\r\n":                nil,
		"*-1\r\n":                nil,
		"*0\r\n":                 []any{},
		"-ERR no such thing\r\n": ReplyError("ERR no such thing"),
		"*3\r\n:1\r\n*1\r\n$1\r\na\r\n-ERR x\r\n": []any{int64(1), []any{"a"}, ReplyError("ERR x")},
	} {
		got, err := readReply(bufio.NewReader(strings.NewReader(wire)), maxReplyDepth)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %#v and error %v, want %#v", wire, got, err, want)
		}
	}
}

func FuzzGarbledRepliesAreErrors(f *testing.F) {
	for _, wire := range []string{"", "\r\n", "OK\r\n", "$9999999999\r\n", "$-2\r\n", "*2\r\n:1\r\n", ":x\r\n", "+OK\n", "$5\r\nab", strings.Repeat("*1\r\n", 100)} {
		f.Add(wire)
		if got, err := readReply(bufio.NewReader(strings.NewReader(wire)), maxReplyDepth); err == nil {
			f.Errorf("%q: got %#v and no error", wire, got)
		}
	}
	f.Fuzz(func(t *testing.T, wire string) {
		readReply(bufio.NewReader(strings.NewReader(wire)), maxReplyDepth) // neither panics nor takes all memory
	})
}

func TestReplyErrorHasACode(t *testing.T) {
	if got := ReplyError("MOVED 1 127.0.0.1:7000").Code(); got != "MOVED" {
		t.Fatalf("got %q", got)
	}
}
