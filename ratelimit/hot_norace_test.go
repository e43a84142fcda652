//go:build !race

package ratelimit_test

const mostAllocations = 1
