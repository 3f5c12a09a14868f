-- SPDX-License-Identifier: Apache-2.0
-- Jobs (作业, OGC API Processes): one row each time a process is run through the queue, and its results.

CREATE TABLE geocloud.job (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    process     text NOT NULL,
    inputs      text NOT NULL,
    outputs     text[] NOT NULL,
    response    text NOT NULL CHECK (response IN ('raw', 'document')),
    language    text NOT NULL CHECK (language IN ('zh', 'en')),
    long        boolean NOT NULL,
    by          text,
    status      text NOT NULL DEFAULT 'accepted'
                CHECK (status IN ('accepted', 'running', 'successful', 'failed', 'dismissed')),
    progress    real NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1),
    message_zh  text,
    message_en  text,
    problem     text,
    fingerprint text,
    attempt     integer NOT NULL DEFAULT 0,
    worker      text,
    created     timestamptz NOT NULL DEFAULT clock_timestamp(),
    started     timestamptz,
    finished    timestamptz,
    updated     timestamptz NOT NULL DEFAULT clock_timestamp(),
    beat        timestamptz
);
CREATE INDEX job_waiting ON geocloud.job (created) WHERE status = 'accepted';
CREATE INDEX job_running ON geocloud.job (beat) WHERE status = 'running';
CREATE INDEX job_by_time ON geocloud.job (created DESC, id);
CREATE INDEX job_by_fingerprint ON geocloud.job (fingerprint, finished DESC) WHERE fingerprint IS NOT NULL;
COMMENT ON TABLE geocloud.job IS 'Runs of processes through the queue (作业)';
COMMENT ON COLUMN geocloud.job.by IS 'Name of the key it was asked for with; null for anybody';
COMMENT ON COLUMN geocloud.job.problem IS 'The error it failed with, as JSON';
COMMENT ON COLUMN geocloud.job.attempt IS 'How often it was begun; what an earlier attempt still writes is refused by it';
COMMENT ON COLUMN geocloud.job.beat IS 'When its worker last said that it is alive';

CREATE TABLE geocloud.job_result (
    job         uuid NOT NULL REFERENCES geocloud.job ON DELETE CASCADE,
    output      text NOT NULL,
    media_type  text NOT NULL,
    name        text,
    data        bytea NOT NULL,
    PRIMARY KEY (job, output)
);
-- PDFs and the like are compressed already.
ALTER TABLE geocloud.job_result ALTER COLUMN data SET STORAGE EXTERNAL;
COMMENT ON TABLE geocloud.job_result IS 'What jobs answered, one row an output (作业结果)';
COMMENT ON COLUMN geocloud.job_result.name IS 'Name of the file; null for JSON';

-- Workers wait for work to do, requests for jobs to end.
CREATE FUNCTION geocloud.tell_of_job() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    PERFORM pg_notify('geocloud_job', NEW.status || ' ' || NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_new AFTER INSERT ON geocloud.job FOR EACH ROW EXECUTE FUNCTION geocloud.tell_of_job();
CREATE TRIGGER tell_changed AFTER UPDATE OF status ON geocloud.job FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION geocloud.tell_of_job();

REVOKE ALL ON geocloud.job, geocloud.job_result FROM PUBLIC;
GRANT USAGE ON SCHEMA geocloud TO geocloud_jobs;
GRANT SELECT, INSERT, UPDATE, DELETE ON geocloud.job, geocloud.job_result TO geocloud_jobs;
