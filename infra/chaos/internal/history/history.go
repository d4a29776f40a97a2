package history

import (
	"slices"
	"strings"
	"time"

	"wafleet/infra/internal/remote"
)

// Recorder takes the journal's rows in their order. It is not safe for concurrent use.
type Recorder struct {
	devices map[string]*device // those of companies, by "79001234567:1"
	company func(number string) bool
	frames  map[string]uint64 // first time that a message came from a company, as a row of the journal
	since   int64             // rows before count for what is open only
	report  Report
	opens   []int64
}

// device is the linked device of a company.
type device struct {
	open    map[uint64]bool // connections
	newest  uint64          // the connection that logged in last
	down    int64           // since when there is none; 0: there is one, or there never was
	back    int64           // when it logged in first after the beginning
	stale   int             // frames of older connections
	dropped bool            // it lost a connection after the beginning
}

// Report is what happened since Begin.
type Report struct {
	Closed     int           // connections that ended
	Back       []Return      // companies that logged in, in the order of their first login
	Gaps       []Gap         // times without a connection, as they ended
	Down       int           // companies that had one and have none now
	Overlaps   int           // logins while another connection of the same device was open
	StaleMost  int           // frames that a device sent on an older connection after a newer one's login, the most of one
	StaleTotal int           // the same of all
	PeakOpens  int           // the most connections that were opened within a second
	Span       time.Duration // from the beginning to the last row
}

// Return is a company's first login after the beginning.
type Return struct {
	Device string
	After  time.Duration
}

// Gap is a time without a connection.
type Gap struct {
	Device string
	Lasted time.Duration
}

// NewRecorder returns a recorder for the devices of the numbers that are companies'.
func NewRecorder(company func(number string) bool) *Recorder {
	return &Recorder{devices: make(map[string]*device), company: company, frames: make(map[string]uint64)}
}

// Begin forgets what happened so far, but not who is connected. Rows count from that time on.
func (r *Recorder) Begin(at time.Time) {
	r.since, r.report, r.opens = at.UnixMilli(), Report{}, nil
	for _, d := range r.devices {
		d.back, d.stale, d.dropped = 0, 0, false
		if d.down != 0 {
			d.down = r.since
		}
	}
}

// Add takes the next rows.
func (r *Recorder) Add(rows []remote.Row) {
	for i := range rows {
		r.add(&rows[i])
	}
}

func (r *Recorder) add(row *remote.Row) {
	number, _, found := strings.Cut(row.Device, ":")
	if !found || !r.company(number) {
		return
	}
	d := r.devices[row.Device]
	if d == nil {
		d = &device{open: make(map[uint64]bool)}
		r.devices[row.Device] = d
	}
	counts := row.T >= r.since
	if counts {
		r.report.Span = time.Duration(row.T-r.since) * time.Millisecond
	}
	switch {
	case row.Tag == "open":
		r.opened(d, row, counts)
	case row.Tag == "close":
		r.closed(d, row, counts)
	case row.Direction == "out" && row.Tag == "success":
		r.loggedIn(d, row, counts)
	case row.Direction == "in":
		r.sent(d, row, counts)
	}
}

func (r *Recorder) opened(d *device, row *remote.Row, counts bool) {
	if counts {
		r.opens = append(r.opens, row.T)
		if len(d.open) > 0 {
			r.report.Overlaps++
		}
	}
	d.open[row.Connection] = true
}

func (r *Recorder) closed(d *device, row *remote.Row, counts bool) {
	delete(d.open, row.Connection)
	if counts {
		r.report.Closed++
		d.dropped = true
	}
	if row.Connection == d.newest {
		d.down = row.T
	}
}

func (r *Recorder) loggedIn(d *device, row *remote.Row, counts bool) {
	if counts {
		if d.back == 0 {
			d.back = row.T
			r.report.Back = append(r.report.Back, Return{row.Device, time.Duration(row.T-r.since) * time.Millisecond})
		}
		if d.down != 0 {
			gap := time.Duration(row.T-max(d.down, r.since)) * time.Millisecond
			r.report.Gaps = append(r.report.Gaps, Gap{row.Device, gap})
		}
	}
	d.newest, d.down = row.Connection, 0
}

func (r *Recorder) sent(d *device, row *remote.Row, counts bool) {
	if row.Tag == "message" && r.frames[row.ID] == 0 {
		r.frames[row.ID] = row.N
	}
	if counts && row.Connection < d.newest { // connections are numbered in the order in which they were made
		d.stale++
		r.report.StaleTotal++
		r.report.StaleMost = max(r.report.StaleMost, d.stale)
	}
}

// Online counts the devices that are logged in.
func (r *Recorder) Online() (n int) {
	for _, d := range r.devices {
		if d.newest != 0 && d.down == 0 {
			n++
		}
	}
	return n
}

// FirstFrame is when a message first came from a company, in the order of the journal; 0 if it never did.
func (r *Recorder) FirstFrame(messageID string) uint64 { return r.frames[messageID] }

// Report is what happened since Begin.
func (r *Recorder) Report() Report {
	report := r.report
	report.Back, report.Gaps = slices.Clone(report.Back), slices.Clone(report.Gaps)
	for _, d := range r.devices {
		if d.down != 0 {
			report.Down++
		}
	}
	report.PeakOpens = peak(r.opens)
	return report
}

// peak is the most of the times that lie within a second.
func peak(times []int64) (most int) {
	first := 0
	for last, t := range times {
		for t-times[first] >= 1000 {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}
