package replay

// widths of a timeline's buckets, in seconds, each a multiple of the one before. Beyond the last they double.
var widths = []int64{1, 5, 10, 30, 60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600}

// mostBuckets is how many there may be before they get wider.
const mostBuckets = 40

// timeline counts in buckets that are as narrow as the times allow that it has seen.
type timeline struct {
	policies int
	zone     int64 // seconds east of UTC, where the buckets of days begin
	step     int   // of the width in widths
	first    int64 // the first bucket's time, in widths since 1970 in the zone
	buckets  []bucket
}

type bucket struct {
	requests int64
	refused  []int64 // by policy
}

func (t *timeline) width() int64 {
	if last := len(widths) - 1; t.step > last {
		return widths[last] << (t.step - last)
	}
	return widths[t.step]
}

// at is the bucket of a time. It is good until the next call.
func (t *timeline) at(seconds int64) *bucket {
	seconds += t.zone
	if len(t.buckets) == 0 {
		t.first = floor(seconds, t.width())
		t.buckets = []bucket{t.empty()}
	}
	for {
		i := floor(seconds, t.width()) - t.first
		low, high := min(i, 0), max(i+1, int64(len(t.buckets)))
		if high-low > mostBuckets {
			t.widen()
			continue
		}
		for range -low {
			t.buckets = append(t.buckets, t.empty())
			copy(t.buckets[1:], t.buckets)
			t.buckets[0] = t.empty()
		}
		t.first, i = t.first+low, i-low
		for int64(len(t.buckets)) <= i {
			t.buckets = append(t.buckets, t.empty())
		}
		return &t.buckets[i]
	}
}

func (t *timeline) empty() bucket { return bucket{refused: make([]int64, t.policies)} }

// widen puts buckets together.
func (t *timeline) widen() {
	before, first := t.width(), t.first
	t.step++
	t.first = floor(first*before, t.width())
	var wide []bucket
	for i, b := range t.buckets {
		at := floor((first+int64(i))*before, t.width()) - t.first
		for int64(len(wide)) <= at {
			wide = append(wide, t.empty())
		}
		wide[at].requests += b.requests
		for p, n := range b.refused {
			wide[at].refused[p] += n
		}
	}
	t.buckets = wide
}

// floor is a/b rounded down: a time of 1970 may be before it in its zone.
func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
