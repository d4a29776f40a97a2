package config

import "wafleet/shared/webhook"

// Webhooks is what processes that deliver webhooks are told.
type Webhooks struct {
	Schedule webhook.Schedule `env:"WEBHOOK_SCHEDULE" envDefault:"0,5s,5m,30m,2h,5h,10h,…" desc:"waiting times before the attempts of a webhook; … repeats the last one until 72 h have passed"`
}
