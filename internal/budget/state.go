package budget

// State is what is reckoned with, for who watches the node.
type State struct {
	// Limit is 0 where there is none. Volumes and Work are the sizes of the parts.
	Limit, Volumes, Work int64
	// HeldVolumes and HeldWork are what is taken of them, ByNamespace what each namespace's
	// volumes hold, the largest first; the empty name is of those that kubelet has not
	// published again since the driver began, and of what volumes that are gone have left behind.
	HeldVolumes, HeldWork int64
	ByNamespace           []Part
}

// Largest is what the volumes of one namespace hold at most.
func (s State) Largest() int64 {
	if len(s.ByNamespace) == 0 {
		return 0
	}
	return s.ByNamespace[0].Bytes
}

// State is the budget's at this moment.
func (b *Budget) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return State{
		Limit: b.limit, Volumes: b.volumes.size, Work: b.work.size, HeldVolumes: b.volumes.used, HeldWork: b.work.used,
		ByNamespace: b.volumes.parts(),
	}
}
