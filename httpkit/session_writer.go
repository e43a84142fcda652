package httpkit

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
)

// sessionWriter saves the session before the response begins.
type sessionWriter struct {
	to      http.ResponseWriter
	before  http.Header // as it was before the handler
	session interface {
		commit() error
		setHeader(http.Header)
		refuse(http.ResponseWriter, error)
	}
	begun bool
	err   error // why the handler's response is dropped
}

// begin is called before anything of the response is. After an error the handler's response is dropped.
func (w *sessionWriter) begin() error {
	if w.begun {
		return w.err
	}
	w.err = w.session.commit()
	w.begun = true
	h := w.to.Header()
	if w.err != nil {
		clear(h)
		maps.Copy(h, w.before)
	}
	// Also after an error: what has happened to the ID has happened.
	w.session.setHeader(h)
	if w.err != nil {
		w.session.refuse(w.to, w.err)
	}
	return w.err
}

// Header, Write and WriteHeader are those of an [http.ResponseWriter].
func (w *sessionWriter) Header() http.Header { return w.to.Header() }

func (w *sessionWriter) WriteHeader(status int) {
	isInformational := status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
	if isInformational && !w.begun || w.begin() == nil {
		w.to.WriteHeader(status)
	}
}

func (w *sessionWriter) Write(p []byte) (int, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return w.to.Write(p)
}

func (w *sessionWriter) WriteString(text string) (int, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return io.WriteString(w.to, text)
}

// ReadFrom lets the server send files as it does without this middleware.
func (w *sessionWriter) ReadFrom(from io.Reader) (int64, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return io.Copy(w.to, from)
}

// Unwrap is for http.ResponseController, which finds here what needs no session: deadlines and the like.
func (w *sessionWriter) Unwrap() http.ResponseWriter { return w.to }

func (w *sessionWriter) flush() error {
	if err := w.begin(); err != nil {
		return err
	}
	return http.NewResponseController(w.to).Flush()
}

func (w *sessionWriter) hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := w.begin(); err != nil {
		return nil, nil, err
	}
	return http.NewResponseController(w.to).Hijack()
}

// forHandler has the methods that the server's writer has, as handlers ask for them by type assertion.
func (w *sessionWriter) forHandler() http.ResponseWriter {
	canFlush := can[interface{ FlushError() error }](w.to) || can[http.Flusher](w.to)
	canHijack := can[http.Hijacker](w.to)
	switch {
	case canFlush && canHijack:
		return struct {
			*sessionWriter
			flusher
			hijacker
		}{w, flusher{w}, hijacker{w}}
	case canFlush:
		return struct {
			*sessionWriter
			flusher
		}{w, flusher{w}}
	case canHijack:
		return struct {
			*sessionWriter
			hijacker
		}{w, hijacker{w}}
	}
	return w
}

// can reports whether a writer, or one that it wraps, is an F.
func can[F any](w http.ResponseWriter) bool {
	for {
		if _, ok := w.(F); ok {
			return true
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = wrapper.Unwrap()
	}
}

type flusher struct{ on *sessionWriter }

func (f flusher) Flush()            { _ = f.on.flush() } // has no way to tell
func (f flusher) FlushError() error { return f.on.flush() }

type hijacker struct{ on *sessionWriter }

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.on.hijack() }
