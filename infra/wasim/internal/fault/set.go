package fault

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Set is the faults that are armed. The zero value is empty and ready.
type Set struct {
	armed atomic.Pointer[[]*armed] // replaced as a whole, so that asking takes no lock

	mu   sync.Mutex // guards last, serialises changes of armed
	last uint64     // the newest id
}

// armed is a fault with what is left of it.
type armed struct {
	fault Fault
	until time.Time // zero: no end

	mu      sync.Mutex
	left    int             // occasions left; -1 is no limit
	victims map[Target]bool // of "once for everyone": who is still to be hit; nil when there was nobody
}

// Arm adds a fault. The targets are everyone it could hit now: those who are connected for a fault of a connection,
// everyone who might log in for one of a login. A fault without limits happens once to each of them; if there are none,
// to the first that comes.
func (s *Set) Arm(fault Fault, targets []Target) (Fault, error) {
	if err := fault.Validate(); err != nil {
		return Fault{}, err
	}
	added := &armed{fault: fault, left: -1}
	if fault.ForMs > 0 {
		added.until = time.Now().Add(time.Duration(fault.ForMs) * time.Millisecond)
	}
	switch {
	case fault.Count > 0:
		added.left = fault.Count
	case fault.unlimited() && families[fault.Kind] != ofBehaviour:
		added.limitTo(targets)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	added.fault.ID = s.last
	list := append(s.alive(), added)
	s.armed.Store(&list)
	return added.fault, nil
}

// limitTo makes the fault happen once to each of the targets it concerns.
func (a *armed) limitTo(targets []Target) {
	for _, target := range targets {
		if !a.fault.concerns(target) {
			continue
		}
		if a.victims == nil {
			a.victims = make(map[Target]bool)
		}
		a.victims[target] = true
	}
	if a.victims == nil {
		a.left = 1
	}
}

// Hit reports whether something of this kind goes wrong for the target now, and uses up one occasion if so.
func (s *Set) Hit(kind Kind, target Target) (Fault, bool) {
	list := s.armed.Load()
	if list == nil {
		return Fault{}, false
	}
	for _, candidate := range *list {
		if candidate.fault.Kind == kind && candidate.fault.concerns(target) && candidate.use(target) {
			return candidate.fault, true
		}
	}
	return Fault{}, false
}

// use takes one occasion, if there is one left for the target and chance wants it.
func (a *armed) use(target Target) bool {
	if a.expired() {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left == 0 || (a.victims != nil && !a.victims[target]) {
		return false
	}
	delete(a.victims, target)                                   // Spared by chance is spared for good.
	if p := a.fault.Probability; p > 0 && rand.Float64() >= p { //nolint:gosec // Chance, not a secret.
		return false
	}
	if a.left > 0 {
		a.left--
	}
	return true
}

func (a *armed) expired() bool { return !a.until.IsZero() && time.Now().After(a.until) }

// spent reports whether nothing can come of the fault any more.
func (a *armed) spent() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.left == 0 || (a.victims != nil && len(a.victims) == 0) || a.expired()
}

// alive returns a fresh list of the faults that are not spent.
func (s *Set) alive() []*armed {
	list := s.armed.Load()
	if list == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(*list), (*armed).spent)
}

// List returns the faults that are still in force, in the order in which they were armed.
func (s *Set) List() []Fault {
	alive := s.alive()
	faults := make([]Fault, len(alive))
	for i, a := range alive {
		faults[i] = a.fault
	}
	return faults
}

// Clear disarms everything.
func (s *Set) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed.Store(nil)
}
