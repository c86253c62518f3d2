SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.cost_hourly (
    hour timestamp with time zone NOT NULL,
    quarter integer NOT NULL,
    source text NOT NULL,
    assistant_id text NOT NULL,
    model text NOT NULL,
    outcome text NOT NULL,
    service_tier text NOT NULL,
    price_version text NOT NULL,
    runs bigint NOT NULL,
    runs_without_usage bigint NOT NULL,
    unpriced_runs bigint NOT NULL,
    input_nanodollars bigint,
    output_nanodollars bigint,
    request_nanodollars bigint
);
CREATE TABLE public.cost_totals (
    source text NOT NULL,
    assistant_id text NOT NULL,
    model text NOT NULL,
    outcome text NOT NULL,
    service_tier text NOT NULL,
    price_version text NOT NULL,
    runs bigint NOT NULL,
    runs_without_usage bigint NOT NULL,
    unpriced_runs bigint NOT NULL,
    input_nanodollars bigint,
    output_nanodollars bigint,
    request_nanodollars bigint
);
CREATE TABLE public.runs (
    run_key text NOT NULL,
    source text NOT NULL,
    run_id text NOT NULL,
    thread_id text,
    assistant_id text,
    model text,
    parent_run_id text,
    subagent_id text,
    status text NOT NULL,
    outcome text,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    expires_at timestamp with time zone,
    first_seen_at timestamp with time zone NOT NULL,
    last_changed_at timestamp with time zone NOT NULL,
    prompt_tokens bigint,
    completion_tokens bigint,
    total_tokens bigint,
    cached_tokens bigint,
    reasoning_tokens bigint,
    cache_write_tokens bigint,
    cache_write_5m_tokens bigint,
    cache_write_30m_tokens bigint,
    cache_write_1h_tokens bigint,
    cache_write_12h_tokens bigint,
    service_tier text,
    queued_seconds double precision,
    running_seconds double precision,
    action_seconds double precision,
    total_seconds double precision,
    uncertainty_seconds double precision,
    queued_at_least_seconds double precision,
    queued_at_most_seconds double precision,
    running_at_least_seconds double precision,
    running_at_most_seconds double precision,
    action_at_least_seconds double precision,
    action_at_most_seconds double precision,
    total_at_least_seconds double precision,
    total_at_most_seconds double precision,
    error_code text,
    error_message text,
    incomplete_reason text,
    metadata jsonb NOT NULL,
    configuration_digest text,
    thread_usage jsonb,
    environment_status text,
    version integer NOT NULL
);
CREATE VIEW public.open_runs AS
 SELECT run_key,
    source,
    run_id,
    thread_id,
    assistant_id,
    model,
    status,
    created_at,
    started_at,
    expires_at,
    last_changed_at,
    environment_status,
    (EXTRACT(epoch FROM (now() - created_at)))::double precision AS age_seconds,
    (EXTRACT(epoch FROM (now() - last_changed_at)))::double precision AS silent_seconds
   FROM public.runs
  WHERE (outcome IS NULL);
CREATE TABLE public.run_actions (
    run_key text NOT NULL,
    seq integer NOT NULL,
    tool_call_id text NOT NULL,
    type text,
    name text,
    arguments text,
    required_at timestamp with time zone NOT NULL,
    resolved_at timestamp with time zone,
    waited_seconds double precision,
    uncertainty_seconds double precision,
    at_least_seconds double precision,
    at_most_seconds double precision
);
CREATE TABLE public.run_costs (
    run_key text NOT NULL,
    price_version text NOT NULL,
    input_nanodollars bigint,
    output_nanodollars bigint,
    request_nanodollars bigint
);
CREATE TABLE public.run_phases (
    run_key text NOT NULL,
    seq integer NOT NULL,
    status text NOT NULL,
    entered_at timestamp with time zone NOT NULL,
    left_at timestamp with time zone,
    seconds double precision,
    uncertainty_seconds double precision,
    basis text NOT NULL,
    at_least_seconds double precision,
    at_most_seconds double precision
);
CREATE TABLE public.run_steps (
    run_key text NOT NULL,
    step_id text NOT NULL,
    type text NOT NULL,
    status text NOT NULL,
    tools jsonb NOT NULL,
    created_at timestamp with time zone,
    ended_at timestamp with time zone,
    seconds double precision,
    prompt_tokens bigint,
    completion_tokens bigint,
    total_tokens bigint,
    cached_tokens bigint,
    reasoning_tokens bigint,
    cache_write_tokens bigint,
    cache_write_5m_tokens bigint,
    cache_write_30m_tokens bigint,
    cache_write_1h_tokens bigint,
    cache_write_12h_tokens bigint
);
CREATE TABLE public.runfold_alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.runfold_checkpoints (
    projection text NOT NULL,
    "position" bigint NOT NULL,
    version integer NOT NULL,
    failure text,
    pruned_before timestamp with time zone,
    settings text
);
CREATE TABLE public.runfold_deliveries (
    name text NOT NULL,
    shard integer NOT NULL,
    "position" bigint NOT NULL,
    holder text,
    held_until double precision
);
CREATE TABLE public.runfold_events (
    "position" bigint NOT NULL,
    originator_id text NOT NULL,
    originator_version bigint NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL
);
CREATE SEQUENCE public.runfold_events_position_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.runfold_events_position_seq OWNED BY public.runfold_events."position";
CREATE TABLE public.runfold_forgotten (
    one boolean NOT NULL,
    "position" bigint NOT NULL,
    CONSTRAINT runfold_forgotten_one_check CHECK (one)
);
CREATE TABLE public.runfold_leases (
    source text NOT NULL,
    shard integer NOT NULL,
    worker text,
    since timestamp with time zone,
    expires_at timestamp with time zone
);
CREATE TABLE public.runfold_open_runs (
    one integer NOT NULL,
    version bigint NOT NULL,
    "position" bigint NOT NULL,
    runs text NOT NULL,
    CONSTRAINT runfold_open_runs_one_check CHECK ((one = 1))
);
CREATE TABLE public.runfold_paces (
    source text NOT NULL,
    rate double precision NOT NULL,
    refused_rate double precision,
    hazards text NOT NULL
);
CREATE TABLE public.runfold_sources (
    source text NOT NULL,
    worker text NOT NULL,
    written_at timestamp with time zone NOT NULL,
    rate double precision NOT NULL,
    breaker text NOT NULL,
    held_until timestamp with time zone,
    refusing text,
    refusing_since timestamp with time zone,
    denied text,
    watched bigint NOT NULL,
    due bigint NOT NULL,
    waiting bigint NOT NULL,
    asked bigint NOT NULL,
    refused bigint NOT NULL,
    failed bigint NOT NULL,
    last_error text,
    last_error_at timestamp with time zone,
    answered_at timestamp with time zone,
    detected bigint NOT NULL,
    detection_seconds double precision,
    clock_ahead double precision NOT NULL,
    peculiarities text NOT NULL,
    set_aside bigint NOT NULL,
    given_up bigint NOT NULL,
    clock_ahead_at_least double precision,
    clock_ahead_at_most double precision
);
CREATE TABLE public.runfold_tool_calls (
    stream text NOT NULL,
    call_id text NOT NULL,
    output text
);
CREATE TABLE public.runfold_undelivered (
    name text NOT NULL,
    stream text NOT NULL,
    shard integer NOT NULL,
    version bigint NOT NULL,
    "position" bigint NOT NULL,
    attempts bigint NOT NULL,
    error text,
    failing_since double precision,
    is_parked integer NOT NULL
);
CREATE TABLE public.runfold_workers (
    source text NOT NULL,
    worker text NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
CREATE TABLE public.set_aside (
    run_key text NOT NULL,
    projection text NOT NULL,
    "position" bigint NOT NULL,
    reason text NOT NULL,
    set_aside_at timestamp with time zone NOT NULL
);
CREATE TABLE public.timing_totals (
    source text NOT NULL,
    assistant_id text NOT NULL,
    model text NOT NULL,
    outcome text NOT NULL,
    phase text NOT NULL,
    bucket double precision NOT NULL,
    count bigint NOT NULL,
    at_least_count bigint NOT NULL,
    at_most_count bigint NOT NULL
);
CREATE VIEW public.stuck_runs AS
 WITH usual AS (
         SELECT counted.source,
            counted.assistant_id,
            min(counted.bucket) AS usual_seconds
           FROM ( SELECT timing_totals.source,
                    timing_totals.assistant_id,
                    timing_totals.bucket,
                    sum(sum(timing_totals.count)) OVER (PARTITION BY timing_totals.source, timing_totals.assistant_id ORDER BY timing_totals.bucket) AS upto,
                    sum(sum(timing_totals.count)) OVER (PARTITION BY timing_totals.source, timing_totals.assistant_id) AS ended
                   FROM public.timing_totals
                  WHERE (timing_totals.phase = 'total'::text)
                  GROUP BY timing_totals.source, timing_totals.assistant_id, timing_totals.bucket) counted
          WHERE ((counted.upto >= (0.99 * counted.ended)) AND (counted.ended >= (20)::numeric))
          GROUP BY counted.source, counted.assistant_id
        )
 SELECT aged.run_key,
    aged.source,
    aged.run_id,
    aged.thread_id,
    aged.assistant_id,
    aged.model,
    aged.status,
        CASE
            WHEN (aged.expires_at < now()) THEN 'overdue'::text
            WHEN (aged.environment_status = ANY (ARRAY['failed'::text, 'expired'::text, 'suspended'::text])) THEN ('environment '::text || aged.environment_status)
            ELSE 'slow'::text
        END AS reason,
    aged.created_at,
    aged.expires_at,
    aged.last_changed_at,
    aged.age_seconds,
    usual.usual_seconds,
    aged.silent_seconds
   FROM (public.open_runs aged
     LEFT JOIN usual ON (((usual.source = aged.source) AND (usual.assistant_id = COALESCE(aged.assistant_id, ''::text)))))
  WHERE ((aged.expires_at < now()) OR (aged.environment_status = ANY (ARRAY['failed'::text, 'expired'::text, 'suspended'::text])) OR (aged.age_seconds > ((3)::double precision * usual.usual_seconds)));
CREATE TABLE public.timing_buckets (
    hour timestamp with time zone NOT NULL,
    quarter integer NOT NULL,
    source text NOT NULL,
    assistant_id text NOT NULL,
    model text NOT NULL,
    outcome text NOT NULL,
    phase text NOT NULL,
    bucket double precision NOT NULL,
    count bigint NOT NULL,
    at_least_count bigint NOT NULL,
    at_most_count bigint NOT NULL
);
CREATE TABLE public.usage_hourly (
    hour timestamp with time zone NOT NULL,
    quarter integer NOT NULL,
    source text NOT NULL,
    assistant_id text NOT NULL,
    model text NOT NULL,
    outcome text NOT NULL,
    service_tier text NOT NULL,
    runs bigint NOT NULL,
    runs_without_usage bigint NOT NULL,
    prompt_tokens bigint,
    completion_tokens bigint,
    total_tokens bigint,
    cached_tokens bigint,
    reasoning_tokens bigint,
    cache_write_tokens bigint,
    cache_write_5m_tokens bigint,
    cache_write_30m_tokens bigint,
    cache_write_1h_tokens bigint,
    cache_write_12h_tokens bigint,
    _prompt_tokens_runs bigint NOT NULL,
    _completion_tokens_runs bigint NOT NULL,
    _total_tokens_runs bigint NOT NULL,
    _cached_tokens_runs bigint NOT NULL,
    _reasoning_tokens_runs bigint NOT NULL,
    _cache_write_tokens_runs bigint NOT NULL,
    _cache_write_5m_tokens_runs bigint NOT NULL,
    _cache_write_30m_tokens_runs bigint NOT NULL,
    _cache_write_1h_tokens_runs bigint NOT NULL,
    _cache_write_12h_tokens_runs bigint NOT NULL
);
CREATE TABLE public.usage_totals (
    source text NOT NULL,
    assistant_id text NOT NULL,
    model text NOT NULL,
    outcome text NOT NULL,
    service_tier text NOT NULL,
    runs bigint NOT NULL,
    runs_without_usage bigint NOT NULL,
    prompt_tokens bigint,
    completion_tokens bigint,
    total_tokens bigint,
    cached_tokens bigint,
    reasoning_tokens bigint,
    cache_write_tokens bigint,
    cache_write_5m_tokens bigint,
    cache_write_30m_tokens bigint,
    cache_write_1h_tokens bigint,
    cache_write_12h_tokens bigint,
    _prompt_tokens_runs bigint NOT NULL,
    _completion_tokens_runs bigint NOT NULL,
    _total_tokens_runs bigint NOT NULL,
    _cached_tokens_runs bigint NOT NULL,
    _reasoning_tokens_runs bigint NOT NULL,
    _cache_write_tokens_runs bigint NOT NULL,
    _cache_write_5m_tokens_runs bigint NOT NULL,
    _cache_write_30m_tokens_runs bigint NOT NULL,
    _cache_write_1h_tokens_runs bigint NOT NULL,
    _cache_write_12h_tokens_runs bigint NOT NULL
);
ALTER TABLE ONLY public.runfold_events ALTER COLUMN "position" SET DEFAULT nextval('public.runfold_events_position_seq'::regclass);
INSERT INTO public.cost_hourly VALUES ('2026-01-01 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', '', '0.2.3', 1, 1, 0, NULL, NULL, NULL);
INSERT INTO public.cost_hourly VALUES ('2026-01-02 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'failed', '', '0.2.3', 1, 0, 0, 150, 3000, 0);
INSERT INTO public.cost_hourly VALUES ('2026-01-03 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', '', '0.2.3', 1, 0, 0, 5000, 50000, 0);
INSERT INTO public.cost_hourly VALUES ('2026-01-04 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', '', '0.2.3', 1, 1, 0, NULL, NULL, NULL);
INSERT INTO public.cost_hourly VALUES ('2026-01-06 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'failed', '', '0.2.3', 1, 0, 0, 750, 3000, 0);
INSERT INTO public.cost_hourly VALUES ('2026-01-07 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', '', '0.2.3', 1, 1, 0, NULL, NULL, NULL);
INSERT INTO public.cost_hourly VALUES ('2026-01-08 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', '', '0.2.3', 1, 0, 0, 1050, 3000, 0);
INSERT INTO public.cost_hourly VALUES ('2026-01-09 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', '', '0.2.3', 1, 0, 0, 20000, 50000, 0);
INSERT INTO public.cost_hourly VALUES ('2026-01-11 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', '', '0.2.3', 1, 0, 0, 25000, 50000, 0);
INSERT INTO public.cost_hourly VALUES ('2026-01-12 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', '', '0.2.3', 1, 0, 0, 1650, 3000, 0);
INSERT INTO public.cost_totals VALUES ('assistants', '', 'gpt-4o', 'completed', '', '0.2.3', 2, 1, 0, 20000, 50000, 0);
INSERT INTO public.cost_totals VALUES ('assistants', 'asst_1', 'gpt-4o-mini', 'failed', '', '0.2.3', 2, 0, 0, 900, 6000, 0);
INSERT INTO public.cost_totals VALUES ('assistants', '', 'gpt-4o', 'cancelled', '', '0.2.3', 3, 1, 0, 30000, 100000, 0);
INSERT INTO public.cost_totals VALUES ('assistants', 'asst_1', 'gpt-4o-mini', 'expired', '', '0.2.3', 3, 1, 0, 2700, 6000, 0);
INSERT INTO public.run_actions VALUES ('assistants:run_0', 1, 'call_1', 'function', 'price', '{}', '2026-01-01 08:30:05.499999-03:30', '2026-01-01 08:30:12.499999-03:30', 7, 0.999999, 6.000001, 7.999999);
INSERT INTO public.run_actions VALUES ('assistants:run_1', 1, 'call_1', 'function', 'price', '{}', '2026-01-02 08:30:00-03:30', '2026-01-02 08:30:00-03:30', 0, 9.001902, 0, 9.001902);
INSERT INTO public.run_actions VALUES ('assistants:run_2', 1, 'call_1', 'function', 'price', '{}', '2026-01-03 08:30:00-03:30', '2026-01-03 08:30:00-03:30', 0, 9.001902, 0, 9.001902);
INSERT INTO public.run_actions VALUES ('assistants:run_3', 1, 'call_1', 'function', 'price', '{}', '2026-01-04 08:30:00-03:30', '2026-01-04 08:30:00-03:30', 0, 9.001902, 0, 9.001902);
INSERT INTO public.run_actions VALUES ('assistants:run_4', 1, 'call_1', 'function', 'price', '{}', '2026-01-05 08:30:00-03:30', NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.run_actions VALUES ('assistants:run_5', 1, 'call_1', 'function', 'price', '{}', '2026-01-06 08:30:00-03:30', '2026-01-06 08:30:00-03:30', 0, 9.001902, 0, 9.001902);
INSERT INTO public.run_actions VALUES ('assistants:run_6', 1, 'call_1', 'function', 'price', '{}', '2026-01-07 08:30:00-03:30', '2026-01-07 08:30:00-03:30', 0, 9.001902, 0, 9.001902);
INSERT INTO public.run_actions VALUES ('assistants:run_7', 1, 'call_1', 'function', 'price', '{}', '2026-01-08 08:30:00-03:30', '2026-01-08 08:30:00-03:30', 0, 9.001902, 0, 9.001902);
INSERT INTO public.run_actions VALUES ('assistants:run_8', 1, 'call_1', 'function', 'price', '{}', '2026-01-09 08:30:00-03:30', '2026-01-09 08:30:00-03:30', 0, 9.001902, 0, 9.001902);
INSERT INTO public.run_actions VALUES ('assistants:run_9', 1, 'call_1', 'function', 'price', '{}', '2026-01-10 08:30:00-03:30', NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.run_actions VALUES ('assistants:run_10', 1, 'call_1', 'function', 'price', '{}', '2026-01-11 08:30:00-03:30', '2026-01-11 08:30:00-03:30', 0, 9.001902, 0, 9.001902);
INSERT INTO public.run_actions VALUES ('assistants:run_11', 1, 'call_1', 'function', 'price', '{}', '2026-01-12 08:30:00-03:30', '2026-01-12 08:30:00-03:30', 0, 9.001902, 0, 9.001902);
INSERT INTO public.run_costs VALUES ('assistants:run_0', '0.2.3', NULL, NULL, NULL);
INSERT INTO public.run_costs VALUES ('assistants:run_1', '0.2.3', 150, 3000, 0);
INSERT INTO public.run_costs VALUES ('assistants:run_2', '0.2.3', 5000, 50000, 0);
INSERT INTO public.run_costs VALUES ('assistants:run_3', '0.2.3', NULL, NULL, NULL);
INSERT INTO public.run_costs VALUES ('assistants:run_5', '0.2.3', 750, 3000, 0);
INSERT INTO public.run_costs VALUES ('assistants:run_6', '0.2.3', NULL, NULL, NULL);
INSERT INTO public.run_costs VALUES ('assistants:run_7', '0.2.3', 1050, 3000, 0);
INSERT INTO public.run_costs VALUES ('assistants:run_8', '0.2.3', 20000, 50000, 0);
INSERT INTO public.run_costs VALUES ('assistants:run_10', '0.2.3', 25000, 50000, 0);
INSERT INTO public.run_costs VALUES ('assistants:run_11', '0.2.3', 1650, 3000, 0);
INSERT INTO public.run_phases VALUES ('assistants:run_0', 1, 'queued', '2026-01-01 08:30:00.499999-03:30', '2026-01-01 08:30:01.499999-03:30', 1, 0.999999, 'server', 1e-06, 1.999999);
INSERT INTO public.run_phases VALUES ('assistants:run_0', 2, 'in_progress', '2026-01-01 08:30:01.499999-03:30', '2026-01-01 08:30:05.499999-03:30', 4, 0.999999, 'server', 3.000001, 4.999999);
INSERT INTO public.run_phases VALUES ('assistants:run_0', 3, 'requires_action', '2026-01-01 08:30:05.499999-03:30', '2026-01-01 08:30:12.499999-03:30', 7, 0.999999, 'server', 6.000001, 7.999999);
INSERT INTO public.run_phases VALUES ('assistants:run_0', 4, 'queued', '2026-01-01 08:30:12.499999-03:30', '2026-01-01 08:30:12.499999-03:30', 0, 0.999999, 'server', 0, 0.999999);
INSERT INTO public.run_phases VALUES ('assistants:run_0', 5, 'in_progress', '2026-01-01 08:30:12.499999-03:30', '2026-01-01 08:30:19.499999-03:30', 7, 0.999999, 'server', 6.000001, 7.999999);
INSERT INTO public.run_phases VALUES ('assistants:run_1', 1, 'queued', '2026-01-02 08:30:00-03:30', '2026-01-02 08:30:00-03:30', 0, 0, 'disputed', 0, 0);
INSERT INTO public.run_phases VALUES ('assistants:run_1', 2, 'in_progress', '2026-01-02 08:30:00-03:30', '2026-01-02 08:30:00-03:30', 0, 7.001902, 'disputed', 0, 7.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_1', 3, 'requires_action', '2026-01-02 08:30:00-03:30', '2026-01-02 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_1', 4, 'queued', '2026-01-02 08:30:00-03:30', '2026-01-02 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_1', 5, 'in_progress', '2026-01-02 08:30:00-03:30', '2026-01-02 08:30:00-03:30', 0, 12.001902, 'disputed', 0, 12.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_2', 1, 'queued', '2026-01-03 08:30:00-03:30', '2026-01-03 08:30:00-03:30', 0, 0, 'disputed', 0, 0);
INSERT INTO public.run_phases VALUES ('assistants:run_2', 2, 'in_progress', '2026-01-03 08:30:00-03:30', '2026-01-03 08:30:00-03:30', 0, 7.001902, 'disputed', 0, 7.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_2', 3, 'requires_action', '2026-01-03 08:30:00-03:30', '2026-01-03 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_2', 4, 'queued', '2026-01-03 08:30:00-03:30', '2026-01-03 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_2', 5, 'in_progress', '2026-01-03 08:30:00-03:30', '2026-01-03 08:30:00-03:30', 0, 12.001902, 'disputed', 0, 12.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_3', 1, 'queued', '2026-01-04 08:30:00-03:30', '2026-01-04 08:30:00-03:30', 0, 0, 'disputed', 0, 0);
INSERT INTO public.run_phases VALUES ('assistants:run_3', 2, 'in_progress', '2026-01-04 08:30:00-03:30', '2026-01-04 08:30:00-03:30', 0, 7.001902, 'disputed', 0, 7.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_3', 3, 'requires_action', '2026-01-04 08:30:00-03:30', '2026-01-04 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_3', 4, 'queued', '2026-01-04 08:30:00-03:30', '2026-01-04 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_3', 5, 'in_progress', '2026-01-04 08:30:00-03:30', '2026-01-04 08:30:00-03:30', 0, 12.001902, 'disputed', 0, 12.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_4', 1, 'queued', '2026-01-05 08:30:00-03:30', '2026-01-05 08:30:00-03:30', 0, 0, 'disputed', 0, 0);
INSERT INTO public.run_phases VALUES ('assistants:run_4', 2, 'in_progress', '2026-01-05 08:30:00-03:30', '2026-01-05 08:30:00-03:30', NULL, NULL, 'disputed', 0, NULL);
INSERT INTO public.run_phases VALUES ('assistants:run_4', 3, 'requires_action', '2026-01-05 08:30:00-03:30', NULL, NULL, NULL, 'observed', NULL, NULL);
INSERT INTO public.run_phases VALUES ('assistants:run_5', 1, 'queued', '2026-01-06 08:30:00-03:30', '2026-01-06 08:30:00-03:30', 0, 0, 'disputed', 0, 0);
INSERT INTO public.run_phases VALUES ('assistants:run_5', 2, 'in_progress', '2026-01-06 08:30:00-03:30', '2026-01-06 08:30:00-03:30', 0, 7.001902, 'disputed', 0, 7.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_5', 3, 'requires_action', '2026-01-06 08:30:00-03:30', '2026-01-06 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_5', 4, 'queued', '2026-01-06 08:30:00-03:30', '2026-01-06 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_5', 5, 'in_progress', '2026-01-06 08:30:00-03:30', '2026-01-06 08:30:00-03:30', 0, 12.001902, 'disputed', 0, 12.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_6', 1, 'queued', '2026-01-07 08:30:00-03:30', '2026-01-07 08:30:00-03:30', 0, 0, 'disputed', 0, 0);
INSERT INTO public.run_phases VALUES ('assistants:run_6', 2, 'in_progress', '2026-01-07 08:30:00-03:30', '2026-01-07 08:30:00-03:30', 0, 7.001902, 'disputed', 0, 7.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_6', 3, 'requires_action', '2026-01-07 08:30:00-03:30', '2026-01-07 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_6', 4, 'queued', '2026-01-07 08:30:00-03:30', '2026-01-07 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_6', 5, 'in_progress', '2026-01-07 08:30:00-03:30', '2026-01-07 08:30:00-03:30', 0, 12.001902, 'disputed', 0, 12.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_7', 1, 'queued', '2026-01-08 08:30:00-03:30', '2026-01-08 08:30:00-03:30', 0, 0, 'disputed', 0, 0);
INSERT INTO public.run_phases VALUES ('assistants:run_7', 2, 'in_progress', '2026-01-08 08:30:00-03:30', '2026-01-08 08:30:00-03:30', 0, 7.001902, 'disputed', 0, 7.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_7', 3, 'requires_action', '2026-01-08 08:30:00-03:30', '2026-01-08 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_7', 4, 'queued', '2026-01-08 08:30:00-03:30', '2026-01-08 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_7', 5, 'in_progress', '2026-01-08 08:30:00-03:30', '2026-01-08 08:30:00-03:30', 0, 12.001902, 'disputed', 0, 12.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_8', 1, 'queued', '2026-01-09 08:30:00-03:30', '2026-01-09 08:30:00-03:30', 0, 0, 'disputed', 0, 0);
INSERT INTO public.run_phases VALUES ('assistants:run_8', 2, 'in_progress', '2026-01-09 08:30:00-03:30', '2026-01-09 08:30:00-03:30', 0, 7.001902, 'disputed', 0, 7.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_8', 3, 'requires_action', '2026-01-09 08:30:00-03:30', '2026-01-09 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_8', 4, 'queued', '2026-01-09 08:30:00-03:30', '2026-01-09 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_8', 5, 'in_progress', '2026-01-09 08:30:00-03:30', '2026-01-09 08:30:00-03:30', 0, 12.001902, 'disputed', 0, 12.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_9', 1, 'queued', '2026-01-10 08:30:00-03:30', '2026-01-10 08:30:00-03:30', 0, 0, 'disputed', 0, 0);
INSERT INTO public.run_phases VALUES ('assistants:run_9', 2, 'in_progress', '2026-01-10 08:30:00-03:30', '2026-01-10 08:30:00-03:30', NULL, NULL, 'disputed', 0, NULL);
INSERT INTO public.run_phases VALUES ('assistants:run_9', 3, 'requires_action', '2026-01-10 08:30:00-03:30', NULL, NULL, NULL, 'observed', NULL, NULL);
INSERT INTO public.run_phases VALUES ('assistants:run_10', 1, 'queued', '2026-01-11 08:30:00-03:30', '2026-01-11 08:30:00-03:30', 0, 0, 'disputed', 0, 0);
INSERT INTO public.run_phases VALUES ('assistants:run_10', 2, 'in_progress', '2026-01-11 08:30:00-03:30', '2026-01-11 08:30:00-03:30', 0, 7.001902, 'disputed', 0, 7.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_10', 3, 'requires_action', '2026-01-11 08:30:00-03:30', '2026-01-11 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_10', 4, 'queued', '2026-01-11 08:30:00-03:30', '2026-01-11 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_10', 5, 'in_progress', '2026-01-11 08:30:00-03:30', '2026-01-11 08:30:00-03:30', 0, 12.001902, 'disputed', 0, 12.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_11', 1, 'queued', '2026-01-12 08:30:00-03:30', '2026-01-12 08:30:00-03:30', 0, 0, 'disputed', 0, 0);
INSERT INTO public.run_phases VALUES ('assistants:run_11', 2, 'in_progress', '2026-01-12 08:30:00-03:30', '2026-01-12 08:30:00-03:30', 0, 7.001902, 'disputed', 0, 7.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_11', 3, 'requires_action', '2026-01-12 08:30:00-03:30', '2026-01-12 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_11', 4, 'queued', '2026-01-12 08:30:00-03:30', '2026-01-12 08:30:00-03:30', 0, 9.001902, 'disputed', 0, 9.001902);
INSERT INTO public.run_phases VALUES ('assistants:run_11', 5, 'in_progress', '2026-01-12 08:30:00-03:30', '2026-01-12 08:30:00-03:30', 0, 12.001902, 'disputed', 0, 12.001902);
INSERT INTO public.run_steps VALUES ('assistants:run_0', 'step_1', 'tool_calls', 'completed', '["price"]', '2026-01-01 08:30:05-03:30', '2026-01-01 08:30:12-03:30', 7, 0, 5, 5, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.run_steps VALUES ('assistants:run_1', 'step_1', 'tool_calls', 'completed', '["price"]', '2026-01-01 08:30:05-03:30', '2026-01-01 08:30:12-03:30', 7, 1, 5, 6, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.run_steps VALUES ('assistants:run_2', 'step_1', 'tool_calls', 'completed', '["price"]', '2026-01-01 08:30:05-03:30', '2026-01-01 08:30:12-03:30', 7, 2, 5, 7, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.run_steps VALUES ('assistants:run_3', 'step_1', 'tool_calls', 'completed', '["price"]', '2026-01-01 08:30:05-03:30', '2026-01-01 08:30:12-03:30', 7, 3, 5, 8, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.run_steps VALUES ('assistants:run_5', 'step_1', 'tool_calls', 'completed', '["price"]', '2026-01-01 08:30:05-03:30', '2026-01-01 08:30:12-03:30', 7, 5, 5, 10, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.run_steps VALUES ('assistants:run_6', 'step_1', 'tool_calls', 'completed', '["price"]', '2026-01-01 08:30:05-03:30', '2026-01-01 08:30:12-03:30', 7, 6, 5, 11, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.run_steps VALUES ('assistants:run_7', 'step_1', 'tool_calls', 'completed', '["price"]', '2026-01-01 08:30:05-03:30', '2026-01-01 08:30:12-03:30', 7, 7, 5, 12, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.run_steps VALUES ('assistants:run_8', 'step_1', 'tool_calls', 'completed', '["price"]', '2026-01-01 08:30:05-03:30', '2026-01-01 08:30:12-03:30', 7, 8, 5, 13, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.run_steps VALUES ('assistants:run_10', 'step_1', 'tool_calls', 'completed', '["price"]', '2026-01-01 08:30:05-03:30', '2026-01-01 08:30:12-03:30', 7, 10, 5, 15, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.run_steps VALUES ('assistants:run_11', 'step_1', 'tool_calls', 'completed', '["price"]', '2026-01-01 08:30:05-03:30', '2026-01-01 08:30:12-03:30', 7, 11, 5, 16, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.runfold_alembic_version VALUES ('0001');
INSERT INTO public.runfold_checkpoints VALUES ('actions', 76, 1, NULL, NULL, NULL);
INSERT INTO public.runfold_checkpoints VALUES ('costs', 76, 1, NULL, NULL, NULL);
INSERT INTO public.runfold_checkpoints VALUES ('phases', 76, 1, NULL, NULL, NULL);
INSERT INTO public.runfold_checkpoints VALUES ('runs', 76, 1, NULL, NULL, NULL);
INSERT INTO public.runfold_checkpoints VALUES ('steps', 76, 1, NULL, NULL, NULL);
INSERT INTO public.runfold_checkpoints VALUES ('timing', 76, 1, NULL, NULL, NULL);
INSERT INTO public.runfold_checkpoints VALUES ('usage', 76, 1, NULL, NULL, NULL);
INSERT INTO public.runfold_events VALUES (1, 'assistants:run_0', 1, 'run.created/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30312e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a30305a222c22736f75726365223a22617373697374616e7473222c2272756e5f6964223a2272756e5f30222c22737461747573223a22717565756564222c227468726561645f6964223a227468726561645f30222c226d6f64656c223a226770742d346f222c22657870697265735f6174223a22323032362d30312d30315431323a31303a30305a222c226d65746164617461223a7b2275736572223a22616e6e27732030222c2264656570223a5b312c6e756c6c5d7d7d');
INSERT INTO public.runfold_events VALUES (2, 'assistants:run_0', 2, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30322e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a30315a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30312e3235303030305a222c2270726576696f7573223a22717565756564222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (3, 'assistants:run_0', 3, 'run.action_required/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30382e3235303030305a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30342e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c22746f6f6c5f63616c6c73223a5b7b226964223a2263616c6c5f31222c226e616d65223a227072696365222c22617267756d656e7473223a227b7d227d5d7d');
INSERT INTO public.runfold_events VALUES (4, 'assistants:run_0', 4, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a31332e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31325a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30382e3235303030305a222c2270726576696f7573223a2272657175697265735f616374696f6e222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (5, 'assistants:run_0', 5, 'run.completed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32302e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31395a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a31332e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (6, 'assistants:run_0', 6, 'run.step_recorded/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32315a222c22737465705f6964223a22737465705f31222c2274797065223a22746f6f6c5f63616c6c73222c22737461747573223a22636f6d706c65746564222c22746f6f6c73223a5b227072696365225d2c22746f6f6c5f63616c6c5f696473223a5b2263616c6c5f31225d2c22637265617465645f6174223a22323032362d30312d30315431323a30303a30355a222c22656e6465645f6174223a22323032362d30312d30315431323a30303a31325a222c227573616765223a7b2270726f6d70745f746f6b656e73223a302c22636f6d706c6574696f6e5f746f6b656e73223a352c22746f74616c5f746f6b656e73223a357d7d');
INSERT INTO public.runfold_events VALUES (7, 'assistants:run_1', 1, 'run.created/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30312e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30325431323a30303a30305a222c22736f75726365223a22617373697374616e7473222c2272756e5f6964223a2272756e5f31222c22737461747573223a22717565756564222c227468726561645f6964223a227468726561645f31222c22617373697374616e745f6964223a22617373745fc3bc222c226d6f64656c223a226770742d346f222c22657870697265735f6174223a22323032362d30312d30315431323a31303a30305a222c226d65746164617461223a7b2275736572223a22616e6e27732031222c2264656570223a5b312c6e756c6c5d7d7d');
INSERT INTO public.runfold_events VALUES (8, 'assistants:run_1', 2, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30322e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a30315a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30312e3235303030305a222c2270726576696f7573223a22717565756564222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (9, 'assistants:run_1', 3, 'run.action_required/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30382e3235303030305a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30342e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c22746f6f6c5f63616c6c73223a5b7b226964223a2263616c6c5f31222c226e616d65223a227072696365222c22617267756d656e7473223a227b7d227d5d7d');
INSERT INTO public.runfold_events VALUES (10, 'assistants:run_1', 4, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a31332e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31325a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30382e3235303030305a222c2270726576696f7573223a2272657175697265735f616374696f6e222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (11, 'assistants:run_1', 5, 'run.failed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32302e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31395a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a31332e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c227573616765223a7b2270726f6d70745f746f6b656e73223a312c22636f6d706c6574696f6e5f746f6b656e73223a352c22746f74616c5f746f6b656e73223a367d7d');
INSERT INTO public.runfold_events VALUES (12, 'assistants:run_1', 6, 'run.step_recorded/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32315a222c22737465705f6964223a22737465705f31222c2274797065223a22746f6f6c5f63616c6c73222c22737461747573223a22636f6d706c65746564222c22746f6f6c73223a5b227072696365225d2c22746f6f6c5f63616c6c5f696473223a5b2263616c6c5f31225d2c22637265617465645f6174223a22323032362d30312d30315431323a30303a30355a222c22656e6465645f6174223a22323032362d30312d30315431323a30303a31325a222c227573616765223a7b2270726f6d70745f746f6b656e73223a312c22636f6d706c6574696f6e5f746f6b656e73223a352c22746f74616c5f746f6b656e73223a367d7d');
INSERT INTO public.runfold_events VALUES (13, 'assistants:run_1', 7, 'run.usage_reported/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30313a33395a222c227573616765223a7b22746f74616c5f746f6b656e73223a37307d7d');
INSERT INTO public.runfold_events VALUES (14, 'assistants:run_1', 8, 'run.identified/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30313a34305a222c22617373697374616e745f6964223a22617373745f31222c226d6f64656c223a226770742d346f2d6d696e69227d');
INSERT INTO public.runfold_events VALUES (15, 'assistants:run_2', 1, 'run.created/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30312e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30335431323a30303a30305a222c22736f75726365223a22617373697374616e7473222c2272756e5f6964223a2272756e5f32222c22737461747573223a22717565756564222c227468726561645f6964223a227468726561645f32222c226d6f64656c223a226770742d346f222c22657870697265735f6174223a22323032362d30312d30315431323a31303a30305a222c226d65746164617461223a7b2275736572223a22616e6e27732032222c2264656570223a5b312c6e756c6c5d7d7d');
INSERT INTO public.runfold_events VALUES (16, 'assistants:run_2', 2, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30322e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a30315a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30312e3235303030305a222c2270726576696f7573223a22717565756564222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (17, 'assistants:run_2', 3, 'run.action_required/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30382e3235303030305a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30342e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c22746f6f6c5f63616c6c73223a5b7b226964223a2263616c6c5f31222c226e616d65223a227072696365222c22617267756d656e7473223a227b7d227d5d7d');
INSERT INTO public.runfold_events VALUES (18, 'assistants:run_2', 4, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a31332e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31325a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30382e3235303030305a222c2270726576696f7573223a2272657175697265735f616374696f6e222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (19, 'assistants:run_2', 5, 'run.cancelled/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32302e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31395a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a31332e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c227573616765223a7b2270726f6d70745f746f6b656e73223a322c22636f6d706c6574696f6e5f746f6b656e73223a352c22746f74616c5f746f6b656e73223a377d7d');
INSERT INTO public.runfold_events VALUES (20, 'assistants:run_2', 6, 'run.step_recorded/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32315a222c22737465705f6964223a22737465705f31222c2274797065223a22746f6f6c5f63616c6c73222c22737461747573223a22636f6d706c65746564222c22746f6f6c73223a5b227072696365225d2c22746f6f6c5f63616c6c5f696473223a5b2263616c6c5f31225d2c22637265617465645f6174223a22323032362d30312d30315431323a30303a30355a222c22656e6465645f6174223a22323032362d30312d30315431323a30303a31325a222c227573616765223a7b2270726f6d70745f746f6b656e73223a322c22636f6d706c6574696f6e5f746f6b656e73223a352c22746f74616c5f746f6b656e73223a377d7d');
INSERT INTO public.runfold_events VALUES (21, 'assistants:run_3', 1, 'run.created/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30312e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30345431323a30303a30305a222c22736f75726365223a22617373697374616e7473222c2272756e5f6964223a2272756e5f33222c22737461747573223a22717565756564222c227468726561645f6964223a227468726561645f30222c22617373697374616e745f6964223a22617373745fc3bc222c226d6f64656c223a226770742d346f222c22657870697265735f6174223a22323032362d30312d30315431323a31303a30305a222c226d65746164617461223a7b2275736572223a22616e6e27732033222c2264656570223a5b312c6e756c6c5d7d7d');
INSERT INTO public.runfold_events VALUES (22, 'assistants:run_3', 2, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30322e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a30315a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30312e3235303030305a222c2270726576696f7573223a22717565756564222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (23, 'assistants:run_3', 3, 'run.action_required/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30382e3235303030305a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30342e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c22746f6f6c5f63616c6c73223a5b7b226964223a2263616c6c5f31222c226e616d65223a227072696365222c22617267756d656e7473223a227b7d227d5d7d');
INSERT INTO public.runfold_events VALUES (24, 'assistants:run_3', 4, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a31332e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31325a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30382e3235303030305a222c2270726576696f7573223a2272657175697265735f616374696f6e222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (25, 'assistants:run_3', 5, 'run.expired/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32302e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31395a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a31332e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (26, 'assistants:run_3', 6, 'run.step_recorded/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32315a222c22737465705f6964223a22737465705f31222c2274797065223a22746f6f6c5f63616c6c73222c22737461747573223a22636f6d706c65746564222c22746f6f6c73223a5b227072696365225d2c22746f6f6c5f63616c6c5f696473223a5b2263616c6c5f31225d2c22637265617465645f6174223a22323032362d30312d30315431323a30303a30355a222c22656e6465645f6174223a22323032362d30312d30315431323a30303a31325a222c227573616765223a7b2270726f6d70745f746f6b656e73223a332c22636f6d706c6574696f6e5f746f6b656e73223a352c22746f74616c5f746f6b656e73223a387d7d');
INSERT INTO public.runfold_events VALUES (27, 'assistants:run_3', 7, 'run.usage_reported/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30313a33395a222c227573616765223a7b22746f74616c5f746f6b656e73223a37307d7d');
INSERT INTO public.runfold_events VALUES (28, 'assistants:run_3', 8, 'run.identified/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30313a34305a222c22617373697374616e745f6964223a22617373745f31222c226d6f64656c223a226770742d346f2d6d696e69227d');
INSERT INTO public.runfold_events VALUES (29, 'assistants:run_4', 1, 'run.created/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30312e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30355431323a30303a30305a222c22736f75726365223a22617373697374616e7473222c2272756e5f6964223a2272756e5f34222c22737461747573223a22717565756564222c227468726561645f6964223a227468726561645f31222c226d6f64656c223a226770742d346f222c22657870697265735f6174223a22323032362d30312d30315431323a31303a30305a222c226d65746164617461223a7b2275736572223a22616e6e27732034222c2264656570223a5b312c6e756c6c5d7d7d');
INSERT INTO public.runfold_events VALUES (30, 'assistants:run_4', 2, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30322e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a30315a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30312e3235303030305a222c2270726576696f7573223a22717565756564222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (31, 'assistants:run_4', 3, 'run.action_required/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30382e3235303030305a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30342e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c22746f6f6c5f63616c6c73223a5b7b226964223a2263616c6c5f31222c226e616d65223a227072696365222c22617267756d656e7473223a227b7d227d5d7d');
INSERT INTO public.runfold_events VALUES (40, 'assistants:run_6', 1, 'run.created/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30312e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30375431323a30303a30305a222c22736f75726365223a22617373697374616e7473222c2272756e5f6964223a2272756e5f36222c22737461747573223a22717565756564222c227468726561645f6964223a227468726561645f30222c226d6f64656c223a226770742d346f222c22657870697265735f6174223a22323032362d30312d30315431323a31303a30305a222c226d65746164617461223a7b2275736572223a22616e6e27732036222c2264656570223a5b312c6e756c6c5d7d7d');
INSERT INTO public.runfold_events VALUES (41, 'assistants:run_6', 2, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30322e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a30315a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30312e3235303030305a222c2270726576696f7573223a22717565756564222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (42, 'assistants:run_6', 3, 'run.action_required/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30382e3235303030305a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30342e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c22746f6f6c5f63616c6c73223a5b7b226964223a2263616c6c5f31222c226e616d65223a227072696365222c22617267756d656e7473223a227b7d227d5d7d');
INSERT INTO public.runfold_events VALUES (43, 'assistants:run_6', 4, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a31332e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31325a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30382e3235303030305a222c2270726576696f7573223a2272657175697265735f616374696f6e222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (44, 'assistants:run_6', 5, 'run.cancelled/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32302e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31395a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a31332e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (45, 'assistants:run_6', 6, 'run.step_recorded/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32315a222c22737465705f6964223a22737465705f31222c2274797065223a22746f6f6c5f63616c6c73222c22737461747573223a22636f6d706c65746564222c22746f6f6c73223a5b227072696365225d2c22746f6f6c5f63616c6c5f696473223a5b2263616c6c5f31225d2c22637265617465645f6174223a22323032362d30312d30315431323a30303a30355a222c22656e6465645f6174223a22323032362d30312d30315431323a30303a31325a222c227573616765223a7b2270726f6d70745f746f6b656e73223a362c22636f6d706c6574696f6e5f746f6b656e73223a352c22746f74616c5f746f6b656e73223a31317d7d');
INSERT INTO public.runfold_events VALUES (54, 'assistants:run_8', 1, 'run.created/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30312e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30395431323a30303a30305a222c22736f75726365223a22617373697374616e7473222c2272756e5f6964223a2272756e5f38222c22737461747573223a22717565756564222c227468726561645f6964223a227468726561645f32222c226d6f64656c223a226770742d346f222c22657870697265735f6174223a22323032362d30312d30315431323a31303a30305a222c226d65746164617461223a7b2275736572223a22616e6e27732038222c2264656570223a5b312c6e756c6c5d7d7d');
INSERT INTO public.runfold_events VALUES (55, 'assistants:run_8', 2, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30322e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a30315a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30312e3235303030305a222c2270726576696f7573223a22717565756564222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (56, 'assistants:run_8', 3, 'run.action_required/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30382e3235303030305a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30342e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c22746f6f6c5f63616c6c73223a5b7b226964223a2263616c6c5f31222c226e616d65223a227072696365222c22617267756d656e7473223a227b7d227d5d7d');
INSERT INTO public.runfold_events VALUES (57, 'assistants:run_8', 4, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a31332e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31325a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30382e3235303030305a222c2270726576696f7573223a2272657175697265735f616374696f6e222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (58, 'assistants:run_8', 5, 'run.completed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32302e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31395a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a31332e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c227573616765223a7b2270726f6d70745f746f6b656e73223a382c22636f6d706c6574696f6e5f746f6b656e73223a352c22746f74616c5f746f6b656e73223a31337d7d');
INSERT INTO public.runfold_events VALUES (59, 'assistants:run_8', 6, 'run.step_recorded/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32315a222c22737465705f6964223a22737465705f31222c2274797065223a22746f6f6c5f63616c6c73222c22737461747573223a22636f6d706c65746564222c22746f6f6c73223a5b227072696365225d2c22746f6f6c5f63616c6c5f696473223a5b2263616c6c5f31225d2c22637265617465645f6174223a22323032362d30312d30315431323a30303a30355a222c22656e6465645f6174223a22323032362d30312d30315431323a30303a31325a222c227573616765223a7b2270726f6d70745f746f6b656e73223a382c22636f6d706c6574696f6e5f746f6b656e73223a352c22746f74616c5f746f6b656e73223a31337d7d');
INSERT INTO public.runfold_events VALUES (63, 'assistants:run_10', 1, 'run.created/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30312e3235303030305a222c226f636375727265645f6174223a22323032362d30312d31315431323a30303a30305a222c22736f75726365223a22617373697374616e7473222c2272756e5f6964223a2272756e5f3130222c22737461747573223a22717565756564222c227468726561645f6964223a227468726561645f31222c226d6f64656c223a226770742d346f222c22657870697265735f6174223a22323032362d30312d30315431323a31303a30305a222c226d65746164617461223a7b2275736572223a22616e6e2773203130222c2264656570223a5b312c6e756c6c5d7d7d');
INSERT INTO public.runfold_events VALUES (64, 'assistants:run_10', 2, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30322e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a30315a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30312e3235303030305a222c2270726576696f7573223a22717565756564222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (65, 'assistants:run_10', 3, 'run.action_required/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30382e3235303030305a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30342e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c22746f6f6c5f63616c6c73223a5b7b226964223a2263616c6c5f31222c226e616d65223a227072696365222c22617267756d656e7473223a227b7d227d5d7d');
INSERT INTO public.runfold_events VALUES (66, 'assistants:run_10', 4, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a31332e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31325a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30382e3235303030305a222c2270726576696f7573223a2272657175697265735f616374696f6e222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (67, 'assistants:run_10', 5, 'run.cancelled/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32302e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31395a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a31332e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c227573616765223a7b2270726f6d70745f746f6b656e73223a31302c22636f6d706c6574696f6e5f746f6b656e73223a352c22746f74616c5f746f6b656e73223a31357d7d');
INSERT INTO public.runfold_events VALUES (68, 'assistants:run_10', 6, 'run.step_recorded/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32315a222c22737465705f6964223a22737465705f31222c2274797065223a22746f6f6c5f63616c6c73222c22737461747573223a22636f6d706c65746564222c22746f6f6c73223a5b227072696365225d2c22746f6f6c5f63616c6c5f696473223a5b2263616c6c5f31225d2c22637265617465645f6174223a22323032362d30312d30315431323a30303a30355a222c22656e6465645f6174223a22323032362d30312d30315431323a30303a31325a222c227573616765223a7b2270726f6d70745f746f6b656e73223a31302c22636f6d706c6574696f6e5f746f6b656e73223a352c22746f74616c5f746f6b656e73223a31357d7d');
INSERT INTO public.runfold_events VALUES (32, 'assistants:run_5', 1, 'run.created/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30312e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30365431323a30303a30305a222c22736f75726365223a22617373697374616e7473222c2272756e5f6964223a2272756e5f35222c22737461747573223a22717565756564222c227468726561645f6964223a227468726561645f32222c22617373697374616e745f6964223a22617373745fc3bc222c226d6f64656c223a226770742d346f222c22657870697265735f6174223a22323032362d30312d30315431323a31303a30305a222c226d65746164617461223a7b2275736572223a22616e6e27732035222c2264656570223a5b312c6e756c6c5d7d7d');
INSERT INTO public.runfold_events VALUES (33, 'assistants:run_5', 2, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30322e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a30315a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30312e3235303030305a222c2270726576696f7573223a22717565756564222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (34, 'assistants:run_5', 3, 'run.action_required/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30382e3235303030305a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30342e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c22746f6f6c5f63616c6c73223a5b7b226964223a2263616c6c5f31222c226e616d65223a227072696365222c22617267756d656e7473223a227b7d227d5d7d');
INSERT INTO public.runfold_events VALUES (35, 'assistants:run_5', 4, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a31332e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31325a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30382e3235303030305a222c2270726576696f7573223a2272657175697265735f616374696f6e222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (36, 'assistants:run_5', 5, 'run.failed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32302e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31395a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a31332e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c227573616765223a7b2270726f6d70745f746f6b656e73223a352c22636f6d706c6574696f6e5f746f6b656e73223a352c22746f74616c5f746f6b656e73223a31307d7d');
INSERT INTO public.runfold_events VALUES (37, 'assistants:run_5', 6, 'run.step_recorded/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32315a222c22737465705f6964223a22737465705f31222c2274797065223a22746f6f6c5f63616c6c73222c22737461747573223a22636f6d706c65746564222c22746f6f6c73223a5b227072696365225d2c22746f6f6c5f63616c6c5f696473223a5b2263616c6c5f31225d2c22637265617465645f6174223a22323032362d30312d30315431323a30303a30355a222c22656e6465645f6174223a22323032362d30312d30315431323a30303a31325a222c227573616765223a7b2270726f6d70745f746f6b656e73223a352c22636f6d706c6574696f6e5f746f6b656e73223a352c22746f74616c5f746f6b656e73223a31307d7d');
INSERT INTO public.runfold_events VALUES (38, 'assistants:run_5', 7, 'run.usage_reported/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30313a33395a222c227573616765223a7b22746f74616c5f746f6b656e73223a37307d7d');
INSERT INTO public.runfold_events VALUES (39, 'assistants:run_5', 8, 'run.identified/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30313a34305a222c22617373697374616e745f6964223a22617373745f31222c226d6f64656c223a226770742d346f2d6d696e69227d');
INSERT INTO public.runfold_events VALUES (46, 'assistants:run_7', 1, 'run.created/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30312e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30385431323a30303a30305a222c22736f75726365223a22617373697374616e7473222c2272756e5f6964223a2272756e5f37222c22737461747573223a22717565756564222c227468726561645f6964223a227468726561645f31222c22617373697374616e745f6964223a22617373745fc3bc222c226d6f64656c223a226770742d346f222c22657870697265735f6174223a22323032362d30312d30315431323a31303a30305a222c226d65746164617461223a7b2275736572223a22616e6e27732037222c2264656570223a5b312c6e756c6c5d7d7d');
INSERT INTO public.runfold_events VALUES (47, 'assistants:run_7', 2, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30322e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a30315a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30312e3235303030305a222c2270726576696f7573223a22717565756564222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (48, 'assistants:run_7', 3, 'run.action_required/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30382e3235303030305a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30342e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c22746f6f6c5f63616c6c73223a5b7b226964223a2263616c6c5f31222c226e616d65223a227072696365222c22617267756d656e7473223a227b7d227d5d7d');
INSERT INTO public.runfold_events VALUES (49, 'assistants:run_7', 4, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a31332e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31325a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30382e3235303030305a222c2270726576696f7573223a2272657175697265735f616374696f6e222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (50, 'assistants:run_7', 5, 'run.expired/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32302e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31395a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a31332e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c227573616765223a7b2270726f6d70745f746f6b656e73223a372c22636f6d706c6574696f6e5f746f6b656e73223a352c22746f74616c5f746f6b656e73223a31327d7d');
INSERT INTO public.runfold_events VALUES (51, 'assistants:run_7', 6, 'run.step_recorded/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32315a222c22737465705f6964223a22737465705f31222c2274797065223a22746f6f6c5f63616c6c73222c22737461747573223a22636f6d706c65746564222c22746f6f6c73223a5b227072696365225d2c22746f6f6c5f63616c6c5f696473223a5b2263616c6c5f31225d2c22637265617465645f6174223a22323032362d30312d30315431323a30303a30355a222c22656e6465645f6174223a22323032362d30312d30315431323a30303a31325a222c227573616765223a7b2270726f6d70745f746f6b656e73223a372c22636f6d706c6574696f6e5f746f6b656e73223a352c22746f74616c5f746f6b656e73223a31327d7d');
INSERT INTO public.runfold_events VALUES (52, 'assistants:run_7', 7, 'run.usage_reported/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30313a33395a222c227573616765223a7b22746f74616c5f746f6b656e73223a37307d7d');
INSERT INTO public.runfold_events VALUES (53, 'assistants:run_7', 8, 'run.identified/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30313a34305a222c22617373697374616e745f6964223a22617373745f31222c226d6f64656c223a226770742d346f2d6d696e69227d');
INSERT INTO public.runfold_events VALUES (60, 'assistants:run_9', 1, 'run.created/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30312e3235303030305a222c226f636375727265645f6174223a22323032362d30312d31305431323a30303a30305a222c22736f75726365223a22617373697374616e7473222c2272756e5f6964223a2272756e5f39222c22737461747573223a22717565756564222c227468726561645f6964223a227468726561645f30222c22617373697374616e745f6964223a22617373745fc3bc222c226d6f64656c223a226770742d346f222c22657870697265735f6174223a22323032362d30312d30315431323a31303a30305a222c226d65746164617461223a7b2275736572223a22616e6e27732039222c2264656570223a5b312c6e756c6c5d7d7d');
INSERT INTO public.runfold_events VALUES (61, 'assistants:run_9', 2, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30322e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a30315a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30312e3235303030305a222c2270726576696f7573223a22717565756564222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (62, 'assistants:run_9', 3, 'run.action_required/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30382e3235303030305a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30342e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c22746f6f6c5f63616c6c73223a5b7b226964223a2263616c6c5f31222c226e616d65223a227072696365222c22617267756d656e7473223a227b7d227d5d7d');
INSERT INTO public.runfold_events VALUES (69, 'assistants:run_11', 1, 'run.created/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30312e3235303030305a222c226f636375727265645f6174223a22323032362d30312d31325431323a30303a30305a222c22736f75726365223a22617373697374616e7473222c2272756e5f6964223a2272756e5f3131222c22737461747573223a22717565756564222c227468726561645f6964223a227468726561645f32222c22617373697374616e745f6964223a22617373745fc3bc222c226d6f64656c223a226770742d346f222c22657870697265735f6174223a22323032362d30312d30315431323a31303a30305a222c226d65746164617461223a7b2275736572223a22616e6e2773203131222c2264656570223a5b312c6e756c6c5d7d7d');
INSERT INTO public.runfold_events VALUES (70, 'assistants:run_11', 2, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30322e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a30315a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30312e3235303030305a222c2270726576696f7573223a22717565756564222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (71, 'assistants:run_11', 3, 'run.action_required/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a30382e3235303030305a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30342e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c22746f6f6c5f63616c6c73223a5b7b226964223a2263616c6c5f31222c226e616d65223a227072696365222c22617267756d656e7473223a227b7d227d5d7d');
INSERT INTO public.runfold_events VALUES (72, 'assistants:run_11', 4, 'run.status_changed/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a31332e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31325a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a30382e3235303030305a222c2270726576696f7573223a2272657175697265735f616374696f6e222c22737461747573223a22696e5f70726f6772657373227d');
INSERT INTO public.runfold_events VALUES (73, 'assistants:run_11', 5, 'run.expired/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32302e3235303030305a222c226f636375727265645f6174223a22323032362d30312d30315431323a30303a31395a222c226e6f745f6265666f7265223a22323032362d30312d30315431323a30303a31332e3235303030305a222c2270726576696f7573223a22696e5f70726f6772657373222c227573616765223a7b2270726f6d70745f746f6b656e73223a31312c22636f6d706c6574696f6e5f746f6b656e73223a352c22746f74616c5f746f6b656e73223a31367d7d');
INSERT INTO public.runfold_events VALUES (74, 'assistants:run_11', 6, 'run.step_recorded/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30303a32315a222c22737465705f6964223a22737465705f31222c2274797065223a22746f6f6c5f63616c6c73222c22737461747573223a22636f6d706c65746564222c22746f6f6c73223a5b227072696365225d2c22746f6f6c5f63616c6c5f696473223a5b2263616c6c5f31225d2c22637265617465645f6174223a22323032362d30312d30315431323a30303a30355a222c22656e6465645f6174223a22323032362d30312d30315431323a30303a31325a222c227573616765223a7b2270726f6d70745f746f6b656e73223a31312c22636f6d706c6574696f6e5f746f6b656e73223a352c22746f74616c5f746f6b656e73223a31367d7d');
INSERT INTO public.runfold_events VALUES (75, 'assistants:run_11', 7, 'run.usage_reported/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30313a33395a222c227573616765223a7b22746f74616c5f746f6b656e73223a37307d7d');
INSERT INTO public.runfold_events VALUES (76, 'assistants:run_11', 8, 'run.identified/1', '\x7b226f627365727665645f6174223a22323032362d30312d30315431323a30313a34305a222c22617373697374616e745f6964223a22617373745f31222c226d6f64656c223a226770742d346f2d6d696e69227d');
INSERT INTO public.runs VALUES ('assistants:run_0', 'assistants', 'run_0', 'thread_0', NULL, 'gpt-4o', NULL, NULL, 'completed', 'completed', '2026-01-01 08:30:00-03:30', '2026-01-01 08:30:12-03:30', '2026-01-01 08:30:19-03:30', '2026-01-01 08:40:00-03:30', '2026-01-01 08:30:01.25-03:30', '2026-01-01 08:30:21-03:30', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, 11, 7, 19, 1.999998, 1e-06, 2.999998, 9.000002, 12.999998, 6.000001, 7.999999, 18.000001, 19.999999, NULL, NULL, NULL, '{"deep": [1, null], "user": "ann''s 0"}', NULL, NULL, NULL, 6);
INSERT INTO public.runs VALUES ('assistants:run_1', 'assistants', 'run_1', 'thread_1', 'asst_1', 'gpt-4o-mini', NULL, NULL, 'failed', 'failed', '2026-01-02 08:30:00-03:30', '2026-01-01 08:30:12-03:30', '2026-01-01 08:30:19-03:30', '2026-01-01 08:40:00-03:30', '2026-01-01 08:30:01.25-03:30', '2026-01-01 08:31:40-03:30', 1, 5, 70, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 19.003804, 0, 0, 0, 19.003804, 0, 9.001902, 0, 0, NULL, NULL, NULL, '{"deep": [1, null], "user": "ann''s 1"}', NULL, NULL, NULL, 8);
INSERT INTO public.runs VALUES ('assistants:run_2', 'assistants', 'run_2', 'thread_2', NULL, 'gpt-4o', NULL, NULL, 'cancelled', 'cancelled', '2026-01-03 08:30:00-03:30', '2026-01-01 08:30:12-03:30', '2026-01-01 08:30:19-03:30', '2026-01-01 08:40:00-03:30', '2026-01-01 08:30:01.25-03:30', '2026-01-01 08:30:21-03:30', 2, 5, 7, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 31.005706, 0, 0, 0, 31.005706, 0, 21.003804, 0, 0, NULL, NULL, NULL, '{"deep": [1, null], "user": "ann''s 2"}', NULL, NULL, NULL, 6);
INSERT INTO public.runs VALUES ('assistants:run_3', 'assistants', 'run_3', 'thread_0', 'asst_1', 'gpt-4o-mini', NULL, NULL, 'expired', 'expired', '2026-01-04 08:30:00-03:30', '2026-01-01 08:30:12-03:30', '2026-01-01 08:30:19-03:30', '2026-01-01 08:40:00-03:30', '2026-01-01 08:30:01.25-03:30', '2026-01-01 08:31:40-03:30', NULL, NULL, 70, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 19.003804, 0, 0, 0, 19.003804, 0, 9.001902, 0, 0, NULL, NULL, NULL, '{"deep": [1, null], "user": "ann''s 3"}', NULL, NULL, NULL, 8);
INSERT INTO public.runs VALUES ('assistants:run_4', 'assistants', 'run_4', 'thread_1', NULL, 'gpt-4o', NULL, NULL, 'requires_action', NULL, '2026-01-05 08:30:00-03:30', '2026-01-01 08:30:01-03:30', NULL, '2026-01-01 08:40:00-03:30', '2026-01-01 08:30:01.25-03:30', '2026-01-01 08:30:08.25-03:30', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"deep": [1, null], "user": "ann''s 4"}', NULL, NULL, NULL, 3);
INSERT INTO public.runs VALUES ('assistants:run_5', 'assistants', 'run_5', 'thread_2', 'asst_1', 'gpt-4o-mini', NULL, NULL, 'failed', 'failed', '2026-01-06 08:30:00-03:30', '2026-01-01 08:30:12-03:30', '2026-01-01 08:30:19-03:30', '2026-01-01 08:40:00-03:30', '2026-01-01 08:30:01.25-03:30', '2026-01-01 08:31:40-03:30', 5, 5, 70, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 19.003804, 0, 0, 0, 19.003804, 0, 9.001902, 0, 0, NULL, NULL, NULL, '{"deep": [1, null], "user": "ann''s 5"}', NULL, NULL, NULL, 8);
INSERT INTO public.runs VALUES ('assistants:run_6', 'assistants', 'run_6', 'thread_0', NULL, 'gpt-4o', NULL, NULL, 'cancelled', 'cancelled', '2026-01-07 08:30:00-03:30', '2026-01-01 08:30:12-03:30', '2026-01-01 08:30:19-03:30', '2026-01-01 08:40:00-03:30', '2026-01-01 08:30:01.25-03:30', '2026-01-01 08:30:21-03:30', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 31.005706, 0, 0, 0, 31.005706, 0, 21.003804, 0, 0, NULL, NULL, NULL, '{"deep": [1, null], "user": "ann''s 6"}', NULL, NULL, NULL, 6);
INSERT INTO public.runs VALUES ('assistants:run_7', 'assistants', 'run_7', 'thread_1', 'asst_1', 'gpt-4o-mini', NULL, NULL, 'expired', 'expired', '2026-01-08 08:30:00-03:30', '2026-01-01 08:30:12-03:30', '2026-01-01 08:30:19-03:30', '2026-01-01 08:40:00-03:30', '2026-01-01 08:30:01.25-03:30', '2026-01-01 08:31:40-03:30', 7, 5, 70, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 19.003804, 0, 0, 0, 19.003804, 0, 9.001902, 0, 0, NULL, NULL, NULL, '{"deep": [1, null], "user": "ann''s 7"}', NULL, NULL, NULL, 8);
INSERT INTO public.runs VALUES ('assistants:run_8', 'assistants', 'run_8', 'thread_2', NULL, 'gpt-4o', NULL, NULL, 'completed', 'completed', '2026-01-09 08:30:00-03:30', '2026-01-01 08:30:12-03:30', '2026-01-01 08:30:19-03:30', '2026-01-01 08:40:00-03:30', '2026-01-01 08:30:01.25-03:30', '2026-01-01 08:30:21-03:30', 8, 5, 13, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 19.003804, 0, 0, 0, 19.003804, 0, 9.001902, 0, 0, NULL, NULL, NULL, '{"deep": [1, null], "user": "ann''s 8"}', NULL, NULL, NULL, 6);
INSERT INTO public.runs VALUES ('assistants:run_9', 'assistants', 'run_9', 'thread_0', 'asst_ü', 'gpt-4o', NULL, NULL, 'requires_action', NULL, '2026-01-10 08:30:00-03:30', '2026-01-01 08:30:01-03:30', NULL, '2026-01-01 08:40:00-03:30', '2026-01-01 08:30:01.25-03:30', '2026-01-01 08:30:08.25-03:30', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"deep": [1, null], "user": "ann''s 9"}', NULL, NULL, NULL, 3);
INSERT INTO public.runs VALUES ('assistants:run_10', 'assistants', 'run_10', 'thread_1', NULL, 'gpt-4o', NULL, NULL, 'cancelled', 'cancelled', '2026-01-11 08:30:00-03:30', '2026-01-01 08:30:12-03:30', '2026-01-01 08:30:19-03:30', '2026-01-01 08:40:00-03:30', '2026-01-01 08:30:01.25-03:30', '2026-01-01 08:30:21-03:30', 10, 5, 15, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 31.005706, 0, 0, 0, 31.005706, 0, 21.003804, 0, 0, NULL, NULL, NULL, '{"deep": [1, null], "user": "ann''s 10"}', NULL, NULL, NULL, 6);
INSERT INTO public.runs VALUES ('assistants:run_11', 'assistants', 'run_11', 'thread_2', 'asst_1', 'gpt-4o-mini', NULL, NULL, 'expired', 'expired', '2026-01-12 08:30:00-03:30', '2026-01-01 08:30:12-03:30', '2026-01-01 08:30:19-03:30', '2026-01-01 08:40:00-03:30', '2026-01-01 08:30:01.25-03:30', '2026-01-01 08:31:40-03:30', 11, 5, 70, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 19.003804, 0, 0, 0, 19.003804, 0, 9.001902, 0, 0, NULL, NULL, NULL, '{"deep": [1, null], "user": "ann''s 11"}', NULL, NULL, NULL, 8);
INSERT INTO public.timing_buckets VALUES ('2026-01-01 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'queued', 0.997245, 1, 0, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-01 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'queued', 1.0098e-06, 0, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-01 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'queued', 2.9898, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-01 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'running', 10.9052, 1, 0, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-01 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'running', 8.96361, 0, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-01 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'running', 13.0097, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-01 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'action', 6.94685, 1, 0, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-01 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'action', 6.05596, 0, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-01 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'action', 7.9688, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-01 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'total', 18.8822, 1, 0, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-01 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'total', 18.1561, 0, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-01 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'total', 20.0262, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-02 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'queued', 0, 1, 1, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-02 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'running', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-02 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'running', 18.8822, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-02 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'action', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-02 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'action', 8.96361, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-02 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'total', 0, 1, 1, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-03 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'queued', 0, 1, 1, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-03 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'running', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-03 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'running', 30.8268, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-03 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'action', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-03 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'action', 20.8271, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-03 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'total', 0, 1, 1, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-04 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'queued', 0, 1, 1, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-04 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'running', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-04 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'running', 18.8822, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-04 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'action', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-04 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'action', 8.96361, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-04 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'total', 0, 1, 1, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-06 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'queued', 0, 1, 1, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-06 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'running', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-06 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'running', 18.8822, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-06 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'action', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-06 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'action', 8.96361, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-06 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'total', 0, 1, 1, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-07 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'queued', 0, 1, 1, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-07 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'running', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-07 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'running', 30.8268, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-07 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'action', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-07 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'action', 20.8271, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-07 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'total', 0, 1, 1, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-08 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'queued', 0, 1, 1, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-08 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'running', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-08 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'running', 18.8822, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-08 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'action', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-08 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'action', 8.96361, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-08 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'total', 0, 1, 1, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-09 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'queued', 0, 1, 1, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-09 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'running', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-09 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'running', 18.8822, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-09 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'action', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-09 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'action', 8.96361, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-09 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', 'total', 0, 1, 1, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-11 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'queued', 0, 1, 1, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-11 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'running', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-11 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'running', 30.8268, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-11 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'action', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-11 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'action', 20.8271, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-11 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', 'total', 0, 1, 1, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-12 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'queued', 0, 1, 1, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-12 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'running', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-12 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'running', 18.8822, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-12 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'action', 0, 1, 1, 0);
INSERT INTO public.timing_buckets VALUES ('2026-01-12 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'action', 8.96361, 0, 0, 1);
INSERT INTO public.timing_buckets VALUES ('2026-01-12 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'total', 0, 1, 1, 1);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'queued', 0.997245, 1, 0, 0);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'queued', 1.0098e-06, 0, 1, 0);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'queued', 2.9898, 0, 0, 1);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'running', 10.9052, 1, 0, 0);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'running', 8.96361, 0, 1, 0);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'running', 13.0097, 0, 0, 1);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'action', 6.94685, 1, 0, 0);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'action', 6.05596, 0, 1, 0);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'action', 7.9688, 0, 0, 1);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'total', 18.8822, 1, 0, 0);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'total', 18.1561, 0, 1, 0);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'total', 20.0262, 0, 0, 1);
INSERT INTO public.timing_totals VALUES ('assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'queued', 0, 2, 2, 2);
INSERT INTO public.timing_totals VALUES ('assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'running', 0, 2, 2, 0);
INSERT INTO public.timing_totals VALUES ('assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'running', 18.8822, 0, 0, 2);
INSERT INTO public.timing_totals VALUES ('assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'action', 0, 2, 2, 0);
INSERT INTO public.timing_totals VALUES ('assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'action', 8.96361, 0, 0, 2);
INSERT INTO public.timing_totals VALUES ('assistants', 'asst_1', 'gpt-4o-mini', 'failed', 'total', 0, 2, 2, 2);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'cancelled', 'queued', 0, 3, 3, 3);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'cancelled', 'running', 0, 3, 3, 0);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'cancelled', 'running', 30.8268, 0, 0, 3);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'cancelled', 'action', 0, 3, 3, 0);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'cancelled', 'action', 20.8271, 0, 0, 3);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'cancelled', 'total', 0, 3, 3, 3);
INSERT INTO public.timing_totals VALUES ('assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'queued', 0, 3, 3, 3);
INSERT INTO public.timing_totals VALUES ('assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'running', 0, 3, 3, 0);
INSERT INTO public.timing_totals VALUES ('assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'running', 18.8822, 0, 0, 3);
INSERT INTO public.timing_totals VALUES ('assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'action', 0, 3, 3, 0);
INSERT INTO public.timing_totals VALUES ('assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'action', 8.96361, 0, 0, 3);
INSERT INTO public.timing_totals VALUES ('assistants', 'asst_1', 'gpt-4o-mini', 'expired', 'total', 0, 3, 3, 3);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'queued', 0, 1, 1, 1);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'running', 0, 1, 1, 0);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'running', 18.8822, 0, 0, 1);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'action', 0, 1, 1, 0);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'action', 8.96361, 0, 0, 1);
INSERT INTO public.timing_totals VALUES ('assistants', '', 'gpt-4o', 'completed', 'total', 0, 1, 1, 1);
INSERT INTO public.usage_hourly VALUES ('2026-01-01 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', '', 1, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO public.usage_hourly VALUES ('2026-01-02 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'failed', '', 1, 0, 1, 5, 70, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO public.usage_hourly VALUES ('2026-01-03 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', '', 1, 0, 2, 5, 7, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO public.usage_hourly VALUES ('2026-01-04 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', '', 1, 0, NULL, NULL, 70, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO public.usage_hourly VALUES ('2026-01-06 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'failed', '', 1, 0, 5, 5, 70, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO public.usage_hourly VALUES ('2026-01-07 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', '', 1, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO public.usage_hourly VALUES ('2026-01-08 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', '', 1, 0, 7, 5, 70, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO public.usage_hourly VALUES ('2026-01-09 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'completed', '', 1, 0, 8, 5, 13, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO public.usage_hourly VALUES ('2026-01-11 08:30:00-03:30', 0, 'assistants', '', 'gpt-4o', 'cancelled', '', 1, 0, 10, 5, 15, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO public.usage_hourly VALUES ('2026-01-12 08:30:00-03:30', 0, 'assistants', 'asst_1', 'gpt-4o-mini', 'expired', '', 1, 0, 11, 5, 70, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO public.usage_totals VALUES ('assistants', '', 'gpt-4o', 'completed', '', 2, 1, 8, 5, 13, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO public.usage_totals VALUES ('assistants', 'asst_1', 'gpt-4o-mini', 'failed', '', 2, 0, 6, 10, 140, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO public.usage_totals VALUES ('assistants', '', 'gpt-4o', 'cancelled', '', 3, 1, 12, 10, 22, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO public.usage_totals VALUES ('assistants', 'asst_1', 'gpt-4o-mini', 'expired', '', 3, 0, 18, 10, 210, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, 2, 3, 0, 0, 0, 0, 0, 0, 0);
SELECT pg_catalog.setval('public.runfold_events_position_seq', 76, true);
ALTER TABLE ONLY public.cost_hourly
    ADD CONSTRAINT cost_hourly_pkey PRIMARY KEY (hour, quarter, source, assistant_id, model, outcome, service_tier, price_version);
ALTER TABLE ONLY public.cost_totals
    ADD CONSTRAINT cost_totals_pkey PRIMARY KEY (source, assistant_id, model, outcome, service_tier, price_version);
ALTER TABLE ONLY public.run_actions
    ADD CONSTRAINT run_actions_pkey PRIMARY KEY (run_key, seq, tool_call_id);
ALTER TABLE ONLY public.run_costs
    ADD CONSTRAINT run_costs_pkey PRIMARY KEY (run_key);
ALTER TABLE ONLY public.run_phases
    ADD CONSTRAINT run_phases_pkey PRIMARY KEY (run_key, seq);
ALTER TABLE ONLY public.run_steps
    ADD CONSTRAINT run_steps_pkey PRIMARY KEY (run_key, step_id);
ALTER TABLE ONLY public.runfold_alembic_version
    ADD CONSTRAINT runfold_alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.runfold_checkpoints
    ADD CONSTRAINT runfold_checkpoints_pkey PRIMARY KEY (projection);
ALTER TABLE ONLY public.runfold_deliveries
    ADD CONSTRAINT runfold_deliveries_pkey PRIMARY KEY (name, shard);
ALTER TABLE ONLY public.runfold_events
    ADD CONSTRAINT runfold_events_originator_id_originator_version_key UNIQUE (originator_id, originator_version);
ALTER TABLE ONLY public.runfold_events
    ADD CONSTRAINT runfold_events_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY public.runfold_forgotten
    ADD CONSTRAINT runfold_forgotten_pkey PRIMARY KEY (one);
ALTER TABLE ONLY public.runfold_leases
    ADD CONSTRAINT runfold_leases_pkey PRIMARY KEY (source, shard);
ALTER TABLE ONLY public.runfold_open_runs
    ADD CONSTRAINT runfold_open_runs_pkey PRIMARY KEY (one);
ALTER TABLE ONLY public.runfold_paces
    ADD CONSTRAINT runfold_paces_pkey PRIMARY KEY (source);
ALTER TABLE ONLY public.runfold_sources
    ADD CONSTRAINT runfold_sources_pkey PRIMARY KEY (source, worker);
ALTER TABLE ONLY public.runfold_tool_calls
    ADD CONSTRAINT runfold_tool_calls_pkey PRIMARY KEY (stream, call_id);
ALTER TABLE ONLY public.runfold_undelivered
    ADD CONSTRAINT runfold_undelivered_pkey PRIMARY KEY (name, stream);
ALTER TABLE ONLY public.runfold_workers
    ADD CONSTRAINT runfold_workers_pkey PRIMARY KEY (source, worker);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (run_key);
ALTER TABLE ONLY public.set_aside
    ADD CONSTRAINT set_aside_pkey PRIMARY KEY (run_key, projection);
ALTER TABLE ONLY public.timing_buckets
    ADD CONSTRAINT timing_buckets_pkey PRIMARY KEY (hour, quarter, source, assistant_id, model, outcome, phase, bucket);
ALTER TABLE ONLY public.timing_totals
    ADD CONSTRAINT timing_totals_pkey PRIMARY KEY (source, assistant_id, model, outcome, phase, bucket);
ALTER TABLE ONLY public.usage_hourly
    ADD CONSTRAINT usage_hourly_pkey PRIMARY KEY (hour, quarter, source, assistant_id, model, outcome, service_tier);
ALTER TABLE ONLY public.usage_totals
    ADD CONSTRAINT usage_totals_pkey PRIMARY KEY (source, assistant_id, model, outcome, service_tier);
CREATE INDEX ix_run_actions_required_at ON public.run_actions USING btree (required_at);
CREATE INDEX ix_run_actions_waiting ON public.run_actions USING btree (required_at) WHERE (resolved_at IS NULL);
CREATE INDEX ix_run_costs_total ON public.run_costs USING btree ((((input_nanodollars + output_nanodollars) + request_nanodollars)), run_key) WHERE (((input_nanodollars + output_nanodollars) + request_nanodollars) IS NOT NULL);
CREATE INDEX ix_runs_created_at ON public.runs USING btree (created_at);
CREATE INDEX ix_runs_ended_at ON public.runs USING btree (ended_at) WHERE (ended_at IS NOT NULL);
CREATE INDEX ix_runs_failed ON public.runs USING btree (created_at, error_code) WHERE (outcome = 'failed'::text);
CREATE INDEX ix_runs_open ON public.runs USING btree (status) WHERE (outcome IS NULL);
CREATE INDEX ix_runs_thread_id ON public.runs USING btree (thread_id, created_at);
CREATE INDEX ix_runs_tokens ON public.runs USING btree (COALESCE(total_tokens, (prompt_tokens + completion_tokens)), run_key) WHERE (COALESCE(total_tokens, (prompt_tokens + completion_tokens)) IS NOT NULL);
CREATE INDEX ix_runs_total_seconds ON public.runs USING btree (total_seconds, run_key) WHERE (total_seconds IS NOT NULL);
CREATE INDEX runfold_anomalies ON public.runfold_events USING btree ("position") WHERE (topic = 'run.anomaly_observed/1'::text);
