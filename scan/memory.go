package scan

// recentKeys is how many keys an unlimited walk remembers in each of its two generations.
const recentKeys = 100_000

// memory tells keys met for the first time from repeated ones. It remembers all keys of a walk with a limit, and
// at least the last recentKeys of one without. SCAN repeats keys soon after their first time, if at all; only
// what has to be walked again after a restart or a move repeats them late.
type memory struct {
	limit    int
	now, old map[string]struct{}
}

// newMemory makes a memory for a walk that ends after limit keys; at most zero means no limit.
func newMemory(limit int) *memory {
	return &memory{limit: limit, now: make(map[string]struct{})}
}

// add reports whether the key is new.
func (m *memory) add(key string) bool {
	if _, ok := m.now[key]; ok {
		return false
	}
	if _, ok := m.old[key]; ok {
		return false
	}
	if m.limit <= 0 && len(m.now) == recentKeys {
		m.old, m.now = m.now, make(map[string]struct{})
	}
	m.now[key] = struct{}{}
	return true
}
