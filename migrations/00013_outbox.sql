-- +goose Up

-- Companies with something to send, found by hopping from one to the next: a backlog of one company is one row to read.
DROP INDEX messages_due;
CREATE INDEX messages_due ON messages (shard, company_id, due_at) WHERE direction = 'outgoing' AND status = 'queued';

-- The outbox of a company by the expression that in-flight messages have, too: no index of the history fits it, so that a plan
-- from a time when the history was short cannot go by one.
DROP INDEX messages_waiting;
CREATE INDEX messages_waiting ON messages ((company_id || ''), lane, id) WHERE direction = 'outgoing' AND status = 'queued' AND batch IS NULL;

-- +goose Down
DROP INDEX messages_waiting;
CREATE INDEX messages_waiting ON messages (company_id, lane, id) WHERE direction = 'outgoing' AND status = 'queued' AND batch IS NULL;
DROP INDEX messages_due;
CREATE INDEX messages_due ON messages (shard, due_at) WHERE direction = 'outgoing' AND status = 'queued';
