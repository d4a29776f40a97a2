package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	contract "wafleet/shared/api"
	"wafleet/shared/problem"
	"wafleet/shared/session"
	"wafleet/shared/store/db"
)

// maxSessionsPage is the most sessions of one page; without a limit there are no pages.
const maxSessionsPage = 1000

// GetSessionStatus tells the state of a session.
func (a *API) GetSessionStatus(ctx context.Context, r contract.GetSessionStatusRequestObject) (contract.GetSessionStatusResponseObject, error) {
	row, err := a.session(ctx, r.CompanyID)
	if err != nil {
		return nil, err
	}
	return contract.GetSessionStatus200JSONResponse{Success: true, Data: sessionAnswer(row)}, nil
}

// GetSessionMetrics tells what a session has done.
func (a *API) GetSessionMetrics(ctx context.Context, r contract.GetSessionMetricsRequestObject) (contract.GetSessionMetricsResponseObject, error) {
	row, err := a.session(ctx, r.CompanyID)
	if err != nil {
		return nil, err
	}
	m, err := a.queries.MeasureCompany(ctx, a.store.Pool(), row.CompanyID)
	if err != nil {
		return nil, fmt.Errorf("measure company: %w", err)
	}
	answer := contract.SessionMetrics{
		MessagesSent: m.Sent, MessagesReceived: m.Received, AverageResponseTime: millis(m.ResponseSeconds),
		Uptime: since(row.ConnectedAt), Reconnects: row.Reconnects, QRAttempts: row.QrAttempts,
	}
	if decided := m.Sent + m.Failed; decided > 0 {
		rate := 100 * float64(m.Sent) / float64(decided)
		answer.SuccessRate = &rate
	}
	return contract.GetSessionMetrics200JSONResponse{Success: true, Data: answer}, nil
}

// ListSessions lists every session that the key may see, at once or in pages.
func (a *API) ListSessions(ctx context.Context, r contract.ListSessionsRequestObject) (contract.ListSessionsResponseObject, error) {
	var only *string
	if p := callOf(ctx).principal; !p.IsAdmin() {
		only = &p.CompanyID
		callOf(ctx).companyID = p.CompanyID
	}
	params := db.ListSessionsParams{CompanyID: only}
	if r.Params.After != nil {
		params.After = *r.Params.After
	}
	if r.Params.Limit != nil { // else there is no page
		size, err := pageSize(r.Params.Limit, maxSessionsPage)
		if err != nil {
			return nil, err
		}
		params.PageSize = new(int64(size))
	}
	rows, err := a.queries.ListSessions(ctx, a.store.Pool(), params)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	counts, err := a.queries.CountSessions(ctx, a.store.Pool(), only)
	if err != nil {
		return nil, fmt.Errorf("count sessions: %w", err)
	}
	answer := contract.ListSessions200JSONResponse{Success: true, Data: make(map[string]contract.SessionSummary, len(rows))}
	if params.PageSize != nil && int64(len(rows)) == *params.PageSize {
		rows = rows[:len(rows)-1]
		answer.Next = &rows[len(rows)-1].CompanyID
	}
	for _, row := range rows {
		state := session.State(row.State)
		answer.Data[row.CompanyID] = contract.SessionSummary{
			Connected: state == session.Connected, Status: contract.SessionStatusWord(state.Status()), State: contract.SessionState(state),
		}
	}
	answer.Summary.Total, answer.Summary.Connected = sum(counts)
	return answer, nil
}

// session returns the session of the company that the path names.
func (a *API) session(ctx context.Context, named string) (db.WhatsappSession, error) {
	return a.sessionFor(ctx, &named)
}

// sessionFor returns the session of the company that a call is for.
func (a *API) sessionFor(ctx context.Context, named *string) (db.WhatsappSession, error) {
	companyID, err := a.companyFor(ctx, named)
	if err != nil {
		return db.WhatsappSession{}, err
	}
	row, err := a.queries.GetSession(ctx, a.store.Pool(), companyID)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, problem.CompanyNotFound.With("companyId", companyID)
	}
	if err != nil {
		return row, fmt.Errorf("read session: %w", err)
	}
	return row, nil
}

func sessionAnswer(row db.WhatsappSession) contract.Session {
	state := session.State(row.State)
	s := contract.Session{
		Connected: state == session.Connected, Status: contract.SessionStatusWord(state.Status()), State: contract.SessionState(state),
		Reason: row.Reason, UserAction: contract.UserAction(row.UserAction), Explanation: session.Text(row.Reason),
	}
	if !s.Connected {
		return s
	}
	s.ConnectedAt = utc(row.ConnectedAt)
	if row.JID != nil {
		s.User = &contract.SessionUser{ID: withoutDevice(*row.JID)}
		if row.PushName != nil {
			s.User.Name = *row.PushName
		}
	}
	return s
}

// withoutDevice turns the address of a device (7900…:12@s.whatsapp.net) into that of its account.
func withoutDevice(jid string) string {
	user, server, _ := strings.Cut(jid, "@")
	user, _, _ = strings.Cut(user, ":")
	return user + "@" + server
}

func sum(counts []db.CountSessionsRow) (total, connected int64) {
	for _, c := range counts {
		total += c.Sessions
		if session.State(c.State) == session.Connected {
			connected += c.Sessions
		}
	}
	return total, connected
}

// since is how many whole seconds ago something was, and 0 if it was not.
func since(at *time.Time) int64 {
	if at == nil {
		return 0
	}
	return max(0, int64(time.Since(*at).Seconds()))
}

func millis(seconds float64) int64 { return int64(seconds*1000 + 0.5) }
