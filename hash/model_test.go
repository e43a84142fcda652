package hash_test

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/hash"
	"github.com/tickettoken/rediskit/rediskittest"
)

type record struct {
	Name  string `redis:"name"`
	Email string `redis:"email,omitempty"`
	Count int64  `redis:"count"`
	Age   *int   `redis:"age"`
}

var recordFields = []string{"name", "email", "count", "age"}

// put is what the model knows of writing a record: the hash after it.
func (r record) put(h map[string]string, fields ...string) {
	for _, f := range fields {
		switch {
		case f == "name":
			h[f] = r.Name
		case f == "email" && r.Email != "":
			h[f] = r.Email
		case f == "count":
			h[f] = strconv.FormatInt(r.Count, 10)
		case f == "age" && r.Age != nil:
			h[f] = strconv.Itoa(*r.Age)
		default:
			delete(h, f)
		}
	}
}

// read is what the model knows of reading one.
func read(h map[string]string, fields ...string) (r record, found bool) {
	for _, f := range fields {
		v, ok := h[f]
		if !ok {
			continue
		}
		found = true
		n, _ := strconv.Atoi(v)
		switch f {
		case "name":
			r.Name = v
		case "email":
			r.Email = v
		case "count":
			r.Count = int64(n)
		case "age":
			r.Age = &n
		}
	}
	return r, found
}

var (
	someText   = rapid.SampledFrom([]string{"", "a", "\x00\xff", "0"})
	someRecord = rapid.Custom(func(t *rapid.T) record {
		r := record{Name: someText.Draw(t, "name"), Email: someText.Draw(t, "email"), Count: rapid.Int64Range(-9, 9).Draw(t, "count")}
		if rapid.Bool().Draw(t, "has age") {
			r.Age = new(int)
			*r.Age = rapid.IntRange(0, 9).Draw(t, "age")
		}
		return r
	})
	someFields = rapid.SliceOfN(rapid.SampledFrom(recordFields), 1, 3)
)

func TestAnySequenceOfCallsDoesWhatTheModelDoes(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		const hour = time.Hour
		bothStructs := []*hash.Hash[record]{structs[record](t, c, hour), structs[record](t, c, rediskit.NoTTL)}
		bothTexts := []*hash.Map[string]{mapsOf[string](t, c, hour), mapsOf[string](t, c, rediskit.NoTTL)}
		ctx, keys, n := t.Context(), rediskittest.Keys(t), 0
		rapid.Check(t, func(t *rapid.T) {
			kept := rapid.IntRange(0, 1).Draw(t, "NoTTL")
			structs, texts := bothStructs[kept], bothTexts[kept]
			key := keys(strconv.Itoa(n))
			n++
			want := make(map[string]string) // the hash
			fail := func(err error) {
				if err != nil {
					t.Fatal(err)
				}
			}
			must := func(what string, got bool, err error, want bool) {
				if fail(err); got != want {
					t.Fatalf("%s is %v", what, got)
				}
			}
			t.Repeat(map[string]func(*rapid.T){
				"Set": func(t *rapid.T) {
					r := someRecord.Draw(t, "record")
					fail(structs.Set(ctx, key, r))
					r.put(want, recordFields...)
				},
				"SetFields": func(t *rapid.T) {
					r, fields := someRecord.Draw(t, "record"), someFields.Draw(t, "fields")
					fail(structs.SetFields(ctx, key, r, fields...))
					r.put(want, fields...)
				},
				"Create": func(t *rapid.T) {
					r := someRecord.Draw(t, "record")
					done, err := structs.Create(ctx, key, r)
					must("created", done, err, len(want) == 0)
					if done {
						r.put(want, recordFields...)
					}
				},
				"Update": func(t *rapid.T) {
					r := someRecord.Draw(t, "record")
					done, err := structs.Update(ctx, key, r)
					must("updated", done, err, len(want) != 0)
					if done {
						r.put(want, recordFields...)
					}
				},
				"UpdateFields": func(t *rapid.T) {
					r, fields := someRecord.Draw(t, "record"), someFields.Draw(t, "fields")
					done, err := structs.UpdateFields(ctx, key, r, fields...)
					must("updated", done, err, len(want) != 0)
					if done {
						r.put(want, fields...)
					}
				},
				"Replace": func(t *rapid.T) {
					r := someRecord.Draw(t, "record")
					fail(structs.Replace(ctx, key, r))
					clear(want)
					r.put(want, recordFields...)
				},
				"SetNX": func(t *rapid.T) {
					r := someRecord.Draw(t, "record")
					_, there := want["count"]
					done, err := structs.SetNX(ctx, key, r, "count")
					must("set", done, err, !there)
					if done {
						r.put(want, "count")
					}
				},
				"Incr": func(t *rapid.T) {
					by := rapid.Int64Range(-9, 9).Draw(t, "by")
					r, _ := read(want, "count")
					n, err := structs.Incr(ctx, key, "count", by)
					r.Count += by
					must("right sum", n == r.Count, err, true)
					r.put(want, "count")
				},
				"DelFields": func(t *rapid.T) {
					fields := someFields.Draw(t, "fields")
					n, err := structs.DelFields(ctx, key, fields...)
					before := len(want)
					for _, f := range fields {
						delete(want, f)
					}
					must("right number", int(n) == before-len(want), err, true)
				},
				"Delete": func(t *rapid.T) {
					n, err := structs.Delete(ctx, key)
					must("deleted", n == 1, err, len(want) != 0)
					clear(want)
				},
				"Map.Set": func(t *rapid.T) {
					v := someText.Draw(t, "value")
					fail(texts.Set(ctx, key, "unknown", v))
					want["unknown"] = v
				},
				"Map.SetMany": func(t *rapid.T) {
					values := rapid.MapOfN(rapid.SampledFrom([]string{"", "x", "name"}), someText, 0, 3).Draw(t, "values")
					fail(texts.SetMany(ctx, key, values))
					maps.Copy(want, values)
				},
				"Map.Replace": func(t *rapid.T) {
					values := rapid.MapOfN(rapid.SampledFrom([]string{"", "x", "name"}), someText, 0, 3).Draw(t, "values")
					fail(texts.Replace(ctx, key, values))
					want = values
					if want == nil {
						want = make(map[string]string)
					}
				},
				"GetFields": func(t *rapid.T) {
					fields := someFields.Draw(t, "fields")
					r, there := read(want, fields...)
					got, found, err := structs.GetFields(ctx, key, fields...)
					must("found", found, err, there)
					must("equal", reflect.DeepEqual(got, r), nil, true)
				},
				"": func(t *rapid.T) {
					r, there := read(want, recordFields...)
					got, found, err := structs.Get(ctx, key)
					must("found", found, err, there)
					must("equal", reflect.DeepEqual(got, r), nil, true)

					all, err := texts.GetAll(ctx, key)
					must("whole hash", maps.Equal(all, want), err, true)
					n, err := structs.Len(ctx, key)
					must("length", n == int64(len(want)), err, true)
					fields, err := structs.Fields(ctx, key)
					slices.Sort(fields)
					must("fields", slices.Equal(fields, slices.Sorted(maps.Keys(want))), err, true)
					left, found, err := structs.TTL(ctx, key)
					must("key there", found, err, len(want) != 0)
					must("TTL", !found || (left == rediskit.NoTTL) == (kept == 1), nil, true)
				},
			})
			_, err := structs.Delete(ctx, key)
			fail(err)
		})
	})
}
