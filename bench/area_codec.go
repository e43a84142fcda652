package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	gojson "github.com/goccy/go-json"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/tickettoken/rediskit/codec"
)

// profile is the struct of six fields that codecs and hashes are measured with.
type profile struct {
	ID      int64     `json:"id" msgpack:"id" redis:"id"`
	Name    string    `json:"name" msgpack:"name" redis:"name"`
	Email   string    `json:"email" msgpack:"email" redis:"email"`
	Active  bool      `json:"active" msgpack:"active" redis:"active"`
	Score   float64   `json:"score" msgpack:"score" redis:"score"`
	Created time.Time `json:"created" msgpack:"created" redis:"created"`
}

// profiles returns n profiles with little in common but their shape.
func profiles(n int) []profile {
	out := make([]profile, n)
	for i := range out {
		h := uint32(i+1) * 2654435761
		out[i] = profile{
			ID: int64(h), Name: fmt.Sprintf("user %x", h), Email: fmt.Sprintf("%d.%d@example.com", h>>16, h&0xffff),
			Active: h&64 == 0, Score: float64(h%10000) / 100, Created: time.Unix(int64(h), 0).UTC(),
		}
	}
	return out
}

// codecArea is the encodings alone, with nothing sent.
func codecArea() area {
	one, many := profiles(1)[0], profiles(100)
	return area{
		name: "codec",
		about: "A struct of six fields to JSON and to MessagePack and back; and 100 of them, 13 kB of JSON, " +
			"with compression. Nothing is sent.",
		operations: []operation{
			encoding("JSON, encode", one,
				encoder(baseline, codec.JSON[profile]()),
				encoder("encoding/json", funcs[profile](json.Marshal, json.Unmarshal)),
				encoder("goccy/go-json", funcs[profile](gojson.Marshal, gojson.Unmarshal))),
			encoding("JSON, decode", one,
				decoder(baseline, codec.JSON[profile]()),
				decoder("encoding/json", funcs[profile](json.Marshal, json.Unmarshal)),
				decoder("goccy/go-json", funcs[profile](gojson.Marshal, gojson.Unmarshal))),
			encoding("MessagePack, encode", one,
				encoder(baseline, codec.MessagePack[profile]()),
				encoder("vmihailenco/msgpack", funcs[profile](msgpack.Marshal, msgpack.Unmarshal))),
			encoding("MessagePack, decode", one,
				decoder(baseline, codec.MessagePack[profile]()),
				decoder("vmihailenco/msgpack", funcs[profile](msgpack.Marshal, msgpack.Unmarshal))),
			encoding("compressed, encode", many,
				encoder(baseline, codec.Compress(codec.JSON[[]profile](), codec.Compression{})),
				encoder("rediskit, Zstd", codec.Compress(codec.JSON[[]profile](), codec.Compression{Algorithm: codec.Zstd})),
				encoder("encoding/json, gzip", funcs[[]profile](gzipped, gunzipped))),
			encoding("compressed, decode", many,
				decoder(baseline, codec.Compress(codec.JSON[[]profile](), codec.Compression{})),
				decoder("rediskit, Zstd", codec.Compress(codec.JSON[[]profile](), codec.Compression{Algorithm: codec.Zstd})),
				decoder("encoding/json, gzip", funcs[[]profile](gzipped, gunzipped))),
		},
	}
}

func encoding[T any](name string, v T, subjects ...func(T) subject) operation {
	o := operation{name: name, goroutines: []int{1}, loopbackOnly: true}
	for _, s := range subjects {
		o.subjects = append(o.subjects, s(v))
	}
	return o
}

// encoder also says how long the result is.
func encoder[T any](name string, c codec.Codec[T]) func(T) subject {
	return func(v T) subject {
		return subject{name, func(_ context.Context, s *stand) (probe, error) {
			text, err := c.Encode(v)
			if err != nil {
				return nil, err
			}
			encode := s.loop(func(context.Context, int, int) error {
				_, err := c.Encode(v)
				return err
			})
			return func(ctx context.Context, d time.Duration) (sample, error) {
				out, err := encode(ctx, d)
				out.value, out.unit = float64(len(text)), "bytes long"
				return out, err
			}, nil
		}}
	}
}

func decoder[T any](name string, c codec.Codec[T]) func(T) subject {
	return func(v T) subject {
		return subject{name, func(_ context.Context, s *stand) (probe, error) {
			text, err := c.Encode(v)
			if err != nil {
				return nil, err
			}
			return s.loop(func(context.Context, int, int) error {
				var got T
				return c.Decode(text, &got)
			}), nil
		}}
	}
}

// funcs gives a peer's pair of functions the form of a codec, which costs one copy each way: Redis clients
// take and give strings.
func funcs[T any](marshal func(any) ([]byte, error), unmarshal func([]byte, any) error) codec.Codec[T] {
	return pair[T]{marshal, unmarshal}
}

type pair[T any] struct {
	marshal   func(any) ([]byte, error)
	unmarshal func([]byte, any) error
}

func (p pair[T]) Encode(v T) (string, error) {
	b, err := p.marshal(v)
	return string(b), err
}

func (p pair[T]) Decode(s string, v *T) error { return p.unmarshal([]byte(s), v) }

// gzipped is compression as it is written by hand.
func gzipped(v any) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}

func gunzipped(data []byte, v any) error {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}
