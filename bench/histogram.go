package main

import (
	"math/bits"
	"time"
)

const (
	// Each power of two is cut into 64, so that a bucket is at most 1.6% wide.
	subBits    = 6
	subBuckets = 1 << subBits

	// 2^38 ns are four and a half minutes; whatever took longer counts as that.
	maxBits = 38
	buckets = (maxBits - subBits + 1) * subBuckets
)

// histogram counts durations. Its size does not depend on how many there are, and recording allocates
// nothing. The zero value is empty.
type histogram struct {
	counts [buckets]uint32
	total  uint64
}

func (h *histogram) record(d time.Duration) {
	h.counts[bucketOf(d)]++
	h.total++
}

func (h *histogram) add(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
}

// quantile returns the duration that a share q of all recorded ones does not exceed, give or take half a
// bucket, and 0 if there are none.
func (h *histogram) quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := max(uint64(q*float64(h.total)+0.5), 1)
	var seen uint64
	for i, n := range h.counts {
		if seen += uint64(n); seen >= rank {
			return middleOf(i)
		}
	}
	return middleOf(buckets - 1)
}

func bucketOf(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - subBits
	return min((shift+1)*subBuckets+int(v>>shift)-subBuckets, buckets-1)
}

func middleOf(bucket int) time.Duration {
	if bucket < subBuckets {
		return time.Duration(bucket)
	}
	shift := bucket/subBuckets - 1
	low := uint64(bucket%subBuckets+subBuckets) << shift
	return time.Duration(low + (uint64(1)<<shift)/2)
}
