package wa

import (
	"context"
	"fmt"
	"log/slog"

	waLog "go.mau.fi/whatsmeow/util/log"
)

// bridge carries whatsmeow's log lines into ours. Its debug and info lines hold stanzas, numbers and ids, so
// they are dropped; what is left loses its arguments, which may hold the same.
type bridge struct {
	logger *slog.Logger
	module string
	onWarn func(template string)
}

var _ waLog.Logger = bridge{}

func (b bridge) Debugf(string, ...any) {}
func (b bridge) Infof(string, ...any)  {}

// Warnf logs the unformatted message: what happened, not to whom.
func (b bridge) Warnf(msg string, args ...any) {
	b.onWarn(msg)
	level := slog.LevelWarn
	if b.module == "Socket" {
		level = slog.LevelDebug // how a socket ended; the session's state tells what it means
	}
	b.log(level, msg, args)
}

// Errorf is Warnf for errors.
func (b bridge) Errorf(msg string, args ...any) {
	level := slog.LevelError
	if b.module == "Socket" {
		level = slog.LevelDebug
	}
	b.log(level, msg, args)
}

// Sub names a part of whatsmeow.
func (b bridge) Sub(module string) waLog.Logger {
	return bridge{logger: b.logger, module: module, onWarn: b.onWarn}
}

func (b bridge) log(level slog.Level, msg string, args []any) {
	attrs := []slog.Attr{slog.String("module", b.module), slog.String("template", msg)}
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			attrs = append(attrs, slog.String("cause", fmt.Sprintf("%T", err)))
		}
	}
	b.logger.LogAttrs(context.Background(), level, "whatsmeow", attrs...)
}
