package script

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
)

// keyPlan is what is known of a key while the operations are gone through in order.
type keyPlan struct {
	typ      string // what the key holds if it exists; "" if that is not known yet
	gone     bool   // the batch has removed it: what is not in counters is not there
	opaque   bool   // an operation of unknown effect has been at it
	counters map[string]*counter
}

// counter is what is known of an integer: the value of a key, under the empty field, or of a field of a hash.
type counter struct {
	known     bool
	integer   bool  // if known
	n         int64 // the value if known, else what the batch has added so far
	low, high int64 // the extremes of what it has added
}

// plan goes through the operations as the server will, and returns what has to hold before the first for
// none to fail. What cannot work whatever the keys hold is an error.
func (b *Batch) plan() ([]check, error) {
	checks := b.conditions[:len(b.conditions):len(b.conditions)]
	keys := make(map[string]*keyPlan)
	for i := range b.ops {
		o := &b.ops[i]
		k := keys[o.key]
		if k == nil {
			k = new(keyPlan)
			keys[o.key] = k
		}
		if o.cmd.writes && o.cmd.alone || o.name == "SET" && !o.raw {
			*k = keyPlan{typ: o.cmd.typ, gone: true, counters: make(map[string]*counter)}
		}
		switch {
		case o.cmd.typ == "" || o.cmd.typ == k.typ:
		case k.typ != "":
			return nil, fmt.Errorf("%v: the batch has used the key as a %s before, and not removed it", o, k.typ)
		default:
			k.typ = o.cmd.typ
			if !k.gone {
				checks = append(checks, check{name: "TYPE", key: o.key, args: []string{k.typ}, says: o.name})
			}
		}
		var err error
		if checks, err = k.count(o, checks); err != nil {
			return nil, fmt.Errorf("%v: %w", o, err)
		}
	}
	return checks, nil
}

// count follows the integers at a key through an operation.
func (k *keyPlan) count(o *operation, checks []check) ([]check, error) {
	if k.counters == nil {
		k.counters = make(map[string]*counter)
	}
	var field string
	switch {
	case o.raw:
		if o.cmd.typ != "" && o.cmd.writes {
			k.opaque = true
			clear(k.counters)
		}
		return checks, nil
	case o.name == "SET":
		k.counters[""] = valueOf(o.args[0])
		return checks, nil
	case o.name == "HSET":
		k.counters[o.args[0]] = valueOf(o.args[1])
		return checks, nil
	case o.name == "HDEL":
		k.counters[o.args[0]] = valueOf("0")
		return checks, nil
	case o.name == "HINCRBY":
		field = o.args[0]
	case o.name != "INCRBY":
		return checks, nil
	}
	c := k.counters[field]
	switch {
	case c != nil:
	case k.opaque:
		return checks, nil
	case k.gone:
		c = valueOf("0")
	default:
		c = new(counter)
		need := check{name: "INT", key: o.key, says: o.name, counter: c}
		if o.name == "HINCRBY" {
			need.name, need.args = "FIELDINT", []string{field}
		}
		checks = append(checks, need)
	}
	k.counters[field] = c
	return checks, c.add(o.by)
}

// valueOf is a value that the batch itself sets.
func valueOf(s string) *counter {
	n, err := strconv.ParseInt(s, 10, 64)
	return &counter{known: true, integer: err == nil && formatInt(n) == s, n: n}
}

func (c *counter) add(by int64) error {
	if c.known && !c.integer {
		return errors.New("the batch has set it to a value that is not an integer")
	}
	sum := c.n + by
	if (sum > c.n) != (by > 0) && by != 0 {
		return errors.New("the counter overflows")
	}
	c.n, c.low, c.high = sum, min(c.low, sum), max(c.high, sum)
	return nil
}

// encode writes the batch as the script wants it.
func (b *Batch) encode(checks []check) (keys, args []string, err error) {
	index := make(map[string]string)
	at := func(key string) string {
		i, ok := index[key]
		if !ok {
			keys = append(keys, key)
			i = strconv.Itoa(len(keys))
			index[key] = i
		}
		return i
	}
	args = append(args, "0", "", strconv.Itoa(len(checks)), strconv.Itoa(len(b.ops)))
	if b.token != "" {
		at(b.token)
		args[0] = b.lifetime
	}
	for _, c := range checks {
		n := len(c.args)
		if c.counter != nil {
			n += 2
		}
		args = append(args, c.name, at(c.key), "0", strconv.Itoa(n))
		args = append(args, c.args...)
		if c.counter != nil {
			args = append(args, formatInt(c.counter.low), formatInt(c.counter.high))
		}
		if c.key == b.token {
			return nil, nil, fmt.Errorf("%s %q: the key is the token's", c.says, c.key)
		}
	}
	for i := range b.ops {
		o := &b.ops[i]
		args = append(args, o.name, at(o.key), o.ttl, strconv.Itoa(len(o.args)))
		args = append(args, o.args...)
		if o.key == b.token {
			return nil, nil, fmt.Errorf("%v: the key is the token's", o)
		}
	}
	if len(args) > maxBatchArgs {
		return nil, nil, fmt.Errorf("the batch has %d values in all: at most %d", len(args), maxBatchArgs)
	}
	if b.token != "" {
		args[1] = fingerprint(keys[1:], args[2:])
	}
	return keys, args, nil
}

// fingerprint tells batches apart. It does not depend on the token.
func fingerprint(lists ...[]string) string {
	h := sha256.New()
	var size [8]byte
	for _, list := range lists {
		binary.BigEndian.PutUint64(size[:], uint64(len(list)))
		h.Write(size[:])
		for _, s := range list {
			binary.BigEndian.PutUint64(size[:], uint64(len(s)))
			h.Write(size[:])
			h.Write([]byte(s))
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
