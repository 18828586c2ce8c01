export interface Condition {
  Property: string;
  Operator:
    | "equal" | "notequal" | "greater" | "greaterorequal" | "less" | "lessorequal"
    | "startswith" | "endswith" | "contains" | "notcontains";
  Value?: unknown;
}
export interface FilterGroup { Logic: "AND" | "OR"; Filters: Filter[] }
export type Filter = Condition | FilterGroup;
export interface SortKey { Property: string; Direction: "ASC" | "DESC" }
export interface PageQuery { filter?: Filter; sort?: SortKey | SortKey[]; pageIndex?: number; pageSize?: number }
export interface Page<R> { Data: R[]; Total: number }

export interface Reads<R> {
  get(query?: PageQuery): Promise<R[]>;
  page(query?: PageQuery): Promise<Page<R>>;
  getById(id: number): Promise<R>;
}
export interface Creates<N> { post(records: N | N[]): Promise<number[]> }
export interface Changes<C> { put(records: C | C[]): Promise<number> }
export interface Deletes { delete(ids: number | number[]): Promise<number[]> }

/** The refusal of a call. `code` is for programs, the message for people. */
export class ApilaneError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly property: string | null,
    readonly entity: string | null,
    readonly status: number,
  ) {
    super(message);
  }
}

export interface Caller { url: string; application: string; token?: string; fetch?: typeof fetch }

/** Sends calls for one caller. */
export class Client {
  constructor(readonly caller: Caller) {}

  async call(method: string, path: string, query: Record<string, unknown> = {}, body?: unknown): Promise<unknown> {
    const target = new URL(this.caller.url.replace(/\/$/, "") + path);
    for (const [name, value] of Object.entries(query)) {
      if (value === undefined || value === null) continue;
      target.searchParams.set(name, typeof value === "object" ? JSON.stringify(value) : String(value));
    }
    const headers: Record<string, string> = { "x-application-token": this.caller.application };
    if (this.caller.token) headers["Authorization"] = `Bearer ${this.caller.token}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const send = this.caller.fetch ?? fetch;
    const answer = await send(target, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    if (answer.ok) return answer.json();
    const error = await answer.json().catch(() => ({}));
    throw new ApilaneError(
      error.Code ?? "ERROR", error.Message ?? answer.statusText, error.Property ?? null, error.Entity ?? null,
      answer.status,
    );
  }

  protected entity(name: string): unknown {
    const controller = name === "Files" ? "/api/Files" : "/api/Data";
    const entity = name === "Files" ? {} : { entity: name };
    const page = (query: PageQuery = {}, getTotal = true) =>
      this.call("GET", `${controller}/Get`, { ...entity, ...query, getTotal }) as Promise<Page<unknown>>;
    return {
      page: (query?: PageQuery) => page(query),
      get: async (query?: PageQuery) => (await page(query, false)).Data,
      getById: (id: number) => this.call("GET", `${controller}/GetByID`, { ...entity, id }),
      post: (records: unknown) => this.call("POST", `${controller}/Post`, entity, records),
      put: (records: unknown) => this.call("PUT", `${controller}/Put`, entity, records),
      delete: (ids: number | number[]) => this.call("DELETE", `${controller}/Delete`, { ...entity, ids: String(ids) }),
    };
  }

  protected run(name: string, parameters: Record<string, unknown>): Promise<unknown> {
    return this.call("GET", `/api/Custom/${encodeURIComponent(name)}`, parameters);
  }
}
