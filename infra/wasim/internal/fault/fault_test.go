package fault_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/infra/wasim/internal/fault"
)

var (
	first  = fault.Target{Phone: "1", Device: 1}
	second = fault.Target{Phone: "1", Device: 2}
	third  = fault.Target{Phone: "2", Device: 1}
	all    = []fault.Target{first, second, third}
)

func arm(t *testing.T, set *fault.Set, f fault.Fault, targets ...fault.Target) {
	t.Helper()
	_, err := set.Arm(f, targets)
	require.NoError(t, err)
}

// hits is how often a kind of fault hits a target within ten occasions.
func hits(set *fault.Set, kind fault.Kind, target fault.Target) (n int) {
	for range 10 {
		if _, hit := set.Hit(kind, target); hit {
			n++
		}
	}
	return n
}

//go:fix inline
func TestHowOften(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault   fault.Fault
		targets []fault.Target
		want    [3]int // occasions of first, second and third, in this order
		left    int    // faults in force afterwards
	}{
		"once for everyone who is there":  {fault.Fault{Kind: fault.Drop}, all, [3]int{1, 1, 1}, 0},
		"once for the first that comes":   {fault.Fault{Kind: fault.Drop}, nil, [3]int{1, 0, 0}, 0},
		"once for those who are there":    {fault.Fault{Kind: fault.Drop}, all[2:], [3]int{0, 0, 1}, 0},
		"only one phone":                  {fault.Fault{Kind: fault.Drop, Phone: "1"}, all, [3]int{1, 1, 0}, 0},
		"only one device":                 {fault.Fault{Kind: fault.Drop, Phone: "1", Device: new(uint16(2))}, all, [3]int{0, 1, 0}, 0},
		"a phone that is not there":       {fault.Fault{Kind: fault.Drop, Phone: "2"}, all[:2], [3]int{0, 0, 1}, 0},
		"count is a total":                {fault.Fault{Kind: fault.Drop, Count: 12}, all, [3]int{10, 2, 0}, 0},
		"login, once for everyone":        {fault.Fault{Kind: fault.Locked403}, all, [3]int{1, 1, 1}, 0},
		"behaviour lasts":                 {fault.Fault{Kind: fault.LoseAck}, all, [3]int{10, 10, 10}, 1},
		"behaviour, counted":              {fault.Fault{Kind: fault.LoseAck, Count: 3, Phone: "1"}, all, [3]int{3, 0, 0}, 0},
		"as long as the time runs":        {fault.Fault{Kind: fault.Drop, ForMs: 60_000}, all, [3]int{10, 10, 10}, 1},
		"count within a time":             {fault.Fault{Kind: fault.Drop, ForMs: 60_000, Count: 1}, all, [3]int{1, 0, 0}, 0},
		"certain is like no probability":  {fault.Fault{Kind: fault.Drop, Probability: 1}, all, [3]int{1, 1, 1}, 0},
		"another kind is another matter":  {fault.Fault{Kind: fault.Deaf}, all, [3]int{0, 0, 0}, 1},
		"everyone, if one is not counted": {fault.Fault{Kind: fault.Slow}, all, [3]int{0, 0, 0}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var set fault.Set
			arm(t, &set, test.fault, test.targets...)
			kind := test.fault.Kind
			if kind == fault.Deaf || kind == fault.Slow {
				kind = fault.Drop
			}
			for i, target := range all {
				require.Equal(t, test.want[i], hits(&set, kind, target), "target %d", i)
			}
			require.Len(t, set.List(), test.left)
		})
	}
}

func TestTimeRunsOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var set fault.Set
		arm(t, &set, fault.Fault{Kind: fault.Slow, ForMs: 1000})
		require.Equal(t, 10, hits(&set, fault.Slow, first))
		<-time.After(1001 * time.Millisecond)
		require.Zero(t, hits(&set, fault.Slow, first))
		require.Empty(t, set.List())
	})
}

func TestChance(t *testing.T) {
	t.Parallel()
	var set fault.Set
	arm(t, &set, fault.Fault{Kind: fault.Slow, Probability: 0.5})
	n := 0
	for range 200 {
		n += hits(&set, fault.Slow, first)
	}
	require.InDelta(t, 1000, n, 250)
	// Who is spared once is spared: each connection has one occasion.
	arm(t, &set, fault.Fault{Kind: fault.Drop, Probability: 1e-12}, all...)
	require.Zero(t, hits(&set, fault.Drop, first)+hits(&set, fault.Drop, second)+hits(&set, fault.Drop, third))
	require.Len(t, set.List(), 1)
}

func TestSeveralFaults(t *testing.T) {
	t.Parallel()
	var set fault.Set
	arm(t, &set, fault.Fault{Kind: fault.DelayAck, Count: 1, DelayMs: 10})
	arm(t, &set, fault.Fault{Kind: fault.DelayAck, Count: 1})
	listed := set.List()
	require.Equal(t, []uint64{1, 2}, []uint64{listed[0].ID, listed[1].ID})
	one, hit := set.Hit(fault.DelayAck, first)
	require.True(t, hit)
	require.Equal(t, 10*time.Millisecond, one.Delay())
	two, hit := set.Hit(fault.DelayAck, first)
	require.True(t, hit)
	require.Equal(t, fault.DefaultDelay, two.Delay())
	arm(t, &set, fault.Fault{Kind: fault.DelayAck})
	set.Clear()
	require.Zero(t, hits(&set, fault.DelayAck, first))
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]fault.Fault{
		"no kind":            {},
		"unknown kind":       {Kind: "fire"},
		"negative count":     {Kind: fault.Drop, Count: -1},
		"negative time":      {Kind: fault.Drop, ForMs: -1},
		"negative delay":     {Kind: fault.Slow, DelayMs: -1},
		"no probability":     {Kind: fault.Drop, Probability: 1.5},
		"below nothing":      {Kind: fault.Drop, Probability: -0.5},
		"device of no phone": {Kind: fault.Drop, Device: new(uint16(1))},
		"the phone itself":   {Kind: fault.Drop, Phone: "1", Device: new(uint16(0))},
	} {
		var set fault.Set
		_, err := set.Arm(wrong, nil)
		require.ErrorIs(t, err, fault.ErrInvalid, name)
	}
}

func TestEveryKindHasAFamily(t *testing.T) {
	t.Parallel()
	for _, kind := range append(fault.OfConnection(), fault.OfLogin()...) {
		require.NoError(t, fault.Fault{Kind: kind}.Validate())
	}
	require.True(t, fault.Drop.NeedsConnection())
	require.False(t, fault.DropPreKeys.NeedsConnection())
	require.False(t, fault.Locked403.NeedsConnection())
}
