package session

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc64"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/script"
)

// Whether a server makes a hash of what dumpHash writes. Not every server has RESTORE, lets everybody use it, or has it for
// more than strings. So the first time it is looked at what became of it.
const (
	restoreUnknown = iota
	restoreWorks
	restoreFails
)

// send takes the two steps of a birth, together: the data by RESTORE where that works, by a script elsewhere.
func (m *Manager[T]) send(ctx context.Context, calls []script.Call) (errData error, admission rueidis.RedisResult) {
	known := m.restore.Load()
	if known == restoreFails {
		results := m.run.create.ExecMulti(ctx, m.client, calls)
		return results[0].Error(), results[1]
	}
	born, admit := calls[0], calls[1]
	ttl, fields := born.Args[1], born.Args[2:]
	hash := rueidis.BinaryString(dumpHash(m.crc, fields))
	commands := 2
	if known == restoreUnknown {
		commands = 3
	}
	results := m.client.DoMulti(ctx, commands, func(b rueidis.Builder, i int) rueidis.Completed {
		switch i {
		case 0:
			return b.Arbitrary("RESTORE").Keys(born.Keys...).Args(ttl, hash).Build()
		case 1:
			return b.Evalsha().Sha1(m.run.createSHA).Numkeys(int64(len(admit.Keys))).Key(admit.Keys...).Arg(admit.Args...).Build()
		default:
			return b.Hget().Key(born.Keys[0]).Field(fields[0]).Build()
		}
	})
	if e, ok := rueidis.IsRedisErr(results[1].Error()); ok && e.IsNoScript() {
		results[1] = m.run.create.Exec(ctx, m.client, admit.Keys, admit.Args)
	}
	errData = results[0].Error()
	if errData == nil && known == restoreUnknown {
		made, err := results[2].ToString()
		isThere, err := data.Found(err)
		switch {
		case isThere && made == fields[1]:
			m.restore.Store(restoreWorks)
		case err == nil:
			errData = errNotMade
		default:
			errData = err
		}
	}
	if errData == nil || errData != errNotMade && !isRefusal(errData) {
		return errData, results[1]
	}
	errData = m.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Unlink().Key(born.Keys[0]).Build().ToRetryable()
	}).Error()
	if errData == nil {
		errData = m.run.create.Exec(ctx, m.client, born.Keys, born.Args).Error()
	}
	if errData == nil {
		m.restore.Store(restoreFails)
	}
	return errData, results[1]
}

var errNotMade = errors.New("RESTORE made something else")

// isRefusal reports whether an error is the server's answer, and will be the next time.
func isRefusal(err error) bool {
	e, ok := rueidis.IsRedisErr(err)
	return ok && !rediskit.IsUnavailable(e)
}

// dumpHash writes a hash in the form of DUMP, of which RESTORE makes a key together with its TTL: in one step, and in half the
// server's time that a script takes. The list has names and values. The form is that of RDB version 9, of Redis 6.2, which
// later servers read: the type, the number of fields, each name and value after its length, the version, and a CRC.
func dumpHash(crc *crc64.Table, list []string) []byte {
	const typeHash, rdbVersion, longest = 4, 9, 5
	size := 1 + longest + 2 + 8
	for _, text := range list {
		size += longest + len(text)
	}
	b := append(make([]byte, 0, size), typeHash)
	b = appendLength(b, len(list)/2)
	for _, text := range list {
		b = appendLength(b, len(text))
		b = append(b, text...)
	}
	b = binary.LittleEndian.AppendUint16(b, rdbVersion)
	// Package crc64 begins and ends with an inversion that Redis does not make.
	return binary.LittleEndian.AppendUint64(b, ^crc64.Update(^uint64(0), crc, b))
}

// appendLength writes 6 bits, 14, or 32, as the first two bits say.
func appendLength(b []byte, n int) []byte {
	switch {
	case n < 1<<6:
		return append(b, byte(n))
	case n < 1<<14:
		return binary.BigEndian.AppendUint16(b, 1<<14|uint16(n))
	default:
		return binary.BigEndian.AppendUint32(append(b, 1<<7), uint32(n))
	}
}

// jones is the polynomial of Redis's CRC, with its bits reversed.
const jones = 0x95ac9329ac4bc9b5
