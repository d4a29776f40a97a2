-- +goose Up

-- Companies with something to send, found by hopping from one to the next: a backlog of one company is one row to read.
DROP INDEX messages_due;
CREATE INDEX messages_due ON messages (shard, company_id, due_at) WHERE direction = 'outgoing' AND status = 'queued';

-- +goose Down
DROP INDEX messages_due;
CREATE INDEX messages_due ON messages (shard, due_at) WHERE direction = 'outgoing' AND status = 'queued';
