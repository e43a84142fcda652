package redistest

import (
	"errors"
	"fmt"
	"strconv"
)

const migrateBatch = 100

// Migration is a slot on its way from one master to another. Until Finish the
// source answers for the keys it still has and redirects with ASK for those it
// has not, so multi-key commands may get TRYAGAIN.
type Migration struct {
	Slot     int
	From, To *Server

	cluster *Cluster
}

// MigrateSlot moves a slot and its keys to another master, as a resharding
// does, and returns when all running nodes agree on it.
func (c *Cluster) MigrateSlot(slot int, to *Server) error {
	m, err := c.BeginMigrate(slot, to)
	if err != nil {
		return err
	}
	return m.Finish()
}

// BeginMigrate opens a slot's migration and moves nothing yet. Finish ends it.
func (c *Cluster) BeginMigrate(slot int, to *Server) (*Migration, error) {
	from, err := c.NodeForSlot(slot)
	if err != nil {
		return nil, err
	}
	if from == to {
		return nil, fmt.Errorf("redistest: slot %d is at %s already", slot, to.Addr())
	}
	fromID, err := from.text("CLUSTER", "MYID")
	if err != nil {
		return nil, err
	}
	toID, err := to.text("CLUSTER", "MYID")
	if err != nil {
		return nil, err
	}
	// In this order a client that is redirected finds the target ready.
	number := strconv.Itoa(slot)
	if _, err := to.Do("CLUSTER", "SETSLOT", number, "IMPORTING", fromID); err != nil {
		return nil, err
	}
	if _, err := from.Do("CLUSTER", "SETSLOT", number, "MIGRATING", toID); err != nil {
		return nil, err
	}
	return &Migration{Slot: slot, From: from, To: to, cluster: c}, nil
}

// MoveKeys moves these keys of the slot and leaves the others. Keys that the
// source does not have are ignored.
func (m *Migration) MoveKeys(keys ...string) error {
	if len(keys) == 0 {
		return nil
	}
	args := []string{"MIGRATE", "127.0.0.1", strconv.Itoa(m.To.Port()), "", "0", millis(adminBound)}
	switch config := m.cluster.config; {
	case config.Username != "":
		args = append(args, "AUTH2", config.Username, config.Password)
	case config.Password != "":
		args = append(args, "AUTH", config.Password)
	}
	_, err := m.From.Do(append(append(args, "KEYS"), keys...)...)
	return err
}

// Finish moves the keys that are left, hands the slot over, and returns when
// all running nodes agree on it.
func (m *Migration) Finish() error {
	number := strconv.Itoa(m.Slot)
	for {
		reply, err := m.From.Do("CLUSTER", "GETKEYSINSLOT", number, strconv.Itoa(migrateBatch))
		if err != nil {
			return err
		}
		keys, err := asStrings(reply)
		if err != nil {
			return fmt.Errorf("redistest: CLUSTER GETKEYSINSLOT: %w", err)
		}
		if len(keys) == 0 {
			break // for good: the source creates none while it is migrating
		}
		if err := m.MoveKeys(keys...); err != nil {
			return err
		}
	}
	toID, err := m.To.text("CLUSTER", "MYID")
	if err != nil {
		return err
	}
	// The target first: would the source be the first to know, both could
	// deny the slot for a moment.
	if _, err := m.To.Do("CLUSTER", "SETSLOT", number, "NODE", toID); err != nil {
		return err
	}
	if _, err := m.From.Do("CLUSTER", "SETSLOT", number, "NODE", toID); err != nil {
		return err
	}
	what := fmt.Sprintf("slot %d to be known at %s", m.Slot, m.To.Addr())
	return poll(clusterBound, what, func() error {
		for _, node := range m.cluster.nodes {
			if !node.responsive() {
				continue
			}
			v, err := viewFrom(node)
			if err != nil {
				return err
			}
			if v.owners[m.Slot] != toID {
				return errors.New("node " + node.Addr() + " does not know yet")
			}
		}
		return nil
	})
}
