module wafleet/migrations

go 1.26.0
