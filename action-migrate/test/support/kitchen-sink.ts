/** One of everything that a migration can make, as two migrations. */
export const KITCHEN_SINK: Readonly<Record<string, readonly string[]>> = {
  '0000_init': [
    `CREATE TYPE mood AS ENUM ('sad', 'ok')`,
    `CREATE DOMAIN email AS text NOT NULL CHECK (VALUE ~ '@')`,
    `CREATE TYPE address AS (street text, zip varchar(10))`,
    `CREATE SEQUENCE invoice_numbers START 1000`,
    `CREATE SCHEMA billing`,
    `CREATE TABLE users (
       id serial PRIMARY KEY,
       email email,
       name varchar(100) DEFAULT 'nobody' NOT NULL,
       sorted text COLLATE "C",
       feeling mood DEFAULT 'ok'::mood,
       lower_name text GENERATED ALWAYS AS (lower(name)) STORED,
       home address,
       tags text[] DEFAULT '{}' NOT NULL,
       CONSTRAINT users_name_unique UNIQUE (name),
       CONSTRAINT users_name_check CHECK (length(name) > 0)
     )`,
    `CREATE TABLE billing.invoices (
       id bigint GENERATED ALWAYS AS IDENTITY (START 10) PRIMARY KEY,
       number integer DEFAULT nextval('invoice_numbers') NOT NULL,
       user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
       amount numeric(12, 2)
     )`,
    `CREATE INDEX invoices_user ON billing.invoices USING btree (user_id) WHERE amount > 0`,
  ],
  '0001_more': [
    `ALTER TYPE mood ADD VALUE 'happy'`,
    `CREATE VIEW rich WITH (security_invoker = true) AS SELECT u.name, sum(i.amount) AS total FROM users u JOIN billing.invoices i ON i.user_id = u.id GROUP BY u.name`,
    `CREATE MATERIALIZED VIEW totals AS SELECT user_id, count(*) AS invoices FROM billing.invoices GROUP BY user_id`,
    `CREATE UNIQUE INDEX totals_user ON totals (user_id)`,
    `CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := btrim(NEW.name); RETURN NEW; END $$`,
    `CREATE TRIGGER users_touch BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch()`,
    `ALTER TABLE users ENABLE ROW LEVEL SECURITY`,
    `CREATE POLICY own ON users FOR SELECT TO CURRENT_USER USING (name = current_setting('app.user'))`,
    `CREATE TABLE events (at timestamp with time zone NOT NULL, what text) PARTITION BY RANGE (at)`,
    `CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')`,
  ],
};

/** The same schema as somebody would write it by hand: other order, other names where names mean nothing. */
export const KITCHEN_SINK_BY_HAND = `
  SET search_path = billing, public;
  CREATE SCHEMA billing;
  CREATE TYPE public.mood AS ENUM ('sad', 'ok', 'happy');
  CREATE DOMAIN public.email AS text CHECK (VALUE ~ '@') NOT NULL;
  CREATE TYPE public.address AS (street text, zip varchar(10));
  CREATE SEQUENCE public.invoice_numbers START WITH 1000;
  CREATE SEQUENCE public.ids_of_users AS integer;
  CREATE TABLE public.users (
    tags text[] NOT NULL DEFAULT ARRAY[]::text[],
    name character varying(100) NOT NULL DEFAULT 'nobody',
    id integer NOT NULL DEFAULT nextval('public.ids_of_users') CONSTRAINT users_pkey PRIMARY KEY
  );
  ALTER SEQUENCE public.ids_of_users OWNED BY public.users.id;
  ALTER TABLE public.users ALTER COLUMN tags SET DEFAULT '{}';
  ALTER TABLE public.users ADD COLUMN forgotten text, ADD COLUMN home address, ADD COLUMN feeling mood DEFAULT 'ok',
    ADD COLUMN sorted text COLLATE pg_catalog."C", ADD COLUMN email email,
    ADD COLUMN lower_name text GENERATED ALWAYS AS (lower(name)) STORED;
  ALTER TABLE public.users DROP COLUMN forgotten;
  ALTER TABLE public.users ADD CONSTRAINT users_name_check CHECK (length(name) > 0), ADD CONSTRAINT users_name_unique UNIQUE (name);
  CREATE TABLE invoices (
    user_id int NOT NULL,
    id int8 PRIMARY KEY GENERATED ALWAYS AS IDENTITY (START WITH 10),
    amount decimal(12, 2),
    number int NOT NULL DEFAULT nextval('invoice_numbers')
  );
  ALTER TABLE invoices ADD FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
  CREATE INDEX invoices_user ON invoices (user_id) WHERE amount > 0;
  CREATE OR REPLACE VIEW public.rich WITH (security_invoker = true) AS
    SELECT u.name, sum(i.amount) AS total FROM users u INNER JOIN invoices i ON i.user_id = u.id GROUP BY u.name;
  CREATE MATERIALIZED VIEW public.totals AS SELECT user_id, count(*) AS invoices FROM invoices GROUP BY user_id;
  CREATE UNIQUE INDEX totals_user ON public.totals (user_id);
  CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN NEW.name := btrim(NEW.name); RETURN NEW; END $body$;
  CREATE TRIGGER users_touch BEFORE UPDATE OR INSERT ON users FOR EACH ROW EXECUTE FUNCTION touch();
  ALTER TABLE users ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON users FOR SELECT TO CURRENT_USER USING (name = current_setting('app.user'));
  CREATE TABLE public.events (what text, at timestamptz NOT NULL) PARTITION BY RANGE (at);
  CREATE TABLE public.events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
  INSERT INTO users (name, email) VALUES ('ada', 'ada@example.com');
`;
