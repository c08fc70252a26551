/** A client for the scheduler API of waha-gateway, over types that are generated from its OpenAPI document. */

import { type Api, type Options, type Paging, all, answer, connect } from "./api.js";
import { type Answer, type Input, toRequest } from "./casing.js";
import type { components, operations, paths } from "./schema.js";

export type { Answer, Input, Options, Paging };
export { ApiError, type FieldProblem } from "./errors.js";
export { verifyWebhook } from "./webhooks.js";
export type { components, operations, paths };

type Schemas = components["schemas"];
type Query<Path extends keyof paths> = paths[Path] extends { get: { parameters: { query?: infer Q } } }
  ? Input<NonNullable<Q>>
  : never;

/** Somebody to write to; `variables` are for templates. */
export interface RecipientInput {
  name: string;
  phoneNumber: string;
  /** The groups to be in; left out when changing: as before. */
  groupIds?: string[];
  variables?: Record<string, string | number | boolean | null>;
}

export type Message = Answer<Schemas["TemplateOut"]>;
export type Recipient = Answer<Schemas["RecipientOut"]>;
export type Group = Answer<Schemas["GroupOut"]>;
export type Schedule = Answer<Schemas["ScheduleOut"]>;

/** Saved texts. */
class Messages {
  constructor(private readonly api: Api) {}

  list = (query: Query<"/api/messages"> = {}) =>
    answer(this.api.GET("/api/messages", { params: { query: toRequest(query) as object } }));

  all = (query: Query<"/api/messages"> = {}) => all((page) => this.list({ ...query, ...page }));

  get = (id: string) => answer(this.api.GET("/api/messages/{message_id}", { params: { path: { message_id: id } } }));

  create = (input: Input<Schemas["TemplateIn"]>) =>
    answer(this.api.POST("/api/messages", { body: toRequest(input) as Schemas["TemplateIn"] }));

  update = (id: string, input: Input<Schemas["TemplateIn"]>) =>
    answer(
      this.api.PUT("/api/messages/{message_id}", {
        params: { path: { message_id: id } },
        body: toRequest(input) as Schemas["TemplateIn"],
      }),
    );

  delete = (id: string) =>
    answer(this.api.DELETE("/api/messages/{message_id}", { params: { path: { message_id: id } } }));
}

/** Whom to write to. */
class Recipients {
  constructor(private readonly api: Api) {}

  list = (query: Query<"/api/recipients"> = {}) =>
    answer(this.api.GET("/api/recipients", { params: { query: toRequest(query) as object } }));

  all = (query: Query<"/api/recipients"> = {}) => all((page) => this.list({ ...query, ...page }));

  get = (id: string) =>
    answer(this.api.GET("/api/recipients/{recipient_id}", { params: { path: { recipient_id: id } } }));

  create = (input: RecipientInput) =>
    answer(this.api.POST("/api/recipients", { body: toRequest(input) as Schemas["RecipientIn"] }));

  update = (id: string, input: RecipientInput) =>
    answer(
      this.api.PUT("/api/recipients/{recipient_id}", {
        params: { path: { recipient_id: id } },
        body: toRequest(input) as Schemas["RecipientIn"],
      }),
    );

  delete = (id: string) =>
    answer(this.api.DELETE("/api/recipients/{recipient_id}", { params: { path: { recipient_id: id } } }));
}

/** Recipients by a name. */
class Groups {
  constructor(private readonly api: Api) {}

  list = (query: Query<"/api/recipients/groups"> = {}) =>
    answer(this.api.GET("/api/recipients/groups", { params: { query: toRequest(query) as object } }));

  all = (query: Query<"/api/recipients/groups"> = {}) => all((page) => this.list({ ...query, ...page }));

  get = (id: string) =>
    answer(this.api.GET("/api/recipients/groups/{group_id}", { params: { path: { group_id: id } } }));

  create = (input: Input<Schemas["GroupIn"]>) =>
    answer(this.api.POST("/api/recipients/groups", { body: toRequest(input) as Schemas["GroupIn"] }));

  update = (id: string, input: Input<Schemas["GroupChange"]>) =>
    answer(
      this.api.PUT("/api/recipients/groups/{group_id}", {
        params: { path: { group_id: id } },
        body: toRequest(input) as Schemas["GroupChange"],
      }),
    );

  /** Make these the members, and nobody else. */
  setRecipients = (id: string, recipientIds: string[]) =>
    answer(this.api.PUT("/api/recipients/groups/{group_id}/recipients", members(id, recipientIds)));

  addRecipients = (id: string, recipientIds: string[]) =>
    answer(this.api.POST("/api/recipients/groups/{group_id}/recipients", members(id, recipientIds)));

  removeRecipients = (id: string, recipientIds: string[]) =>
    answer(this.api.DELETE("/api/recipients/groups/{group_id}/recipients", members(id, recipientIds)));

  delete = (id: string) =>
    answer(this.api.DELETE("/api/recipients/groups/{group_id}", { params: { path: { group_id: id } } }));
}

function members(id: string, recipientIds: string[]) {
  return { params: { path: { group_id: id } }, body: { recipient_ids: recipientIds } };
}

/** Messages that go to a group at a time. */
class Schedules {
  constructor(private readonly api: Api) {}

  list = (query: Query<"/api/schedules"> = {}) =>
    answer(this.api.GET("/api/schedules", { params: { query: toRequest(query) as object } }));

  all = (query: Query<"/api/schedules"> = {}) => all((page) => this.list({ ...query, ...page }));

  get = (id: string) => answer(this.api.GET("/api/schedules/{schedule_id}", one(id)));

  create = (input: Input<Schemas["ScheduleIn"]>) =>
    answer(this.api.POST("/api/schedules", { body: toRequest(input) as Schemas["ScheduleIn"] }));

  cancel = (id: string) => answer(this.api.PUT("/api/schedules/{schedule_id}/cancel", one(id)));

  sendNow = (id: string) => answer(this.api.POST("/api/schedules/{schedule_id}/send-now", one(id)));

  archive = (id: string) => answer(this.api.PUT("/api/schedules/{schedule_id}/archive", one(id)));

  delete = (id: string) => answer(this.api.DELETE("/api/schedules/{schedule_id}", one(id)));
}

function one(id: string) {
  return { params: { path: { schedule_id: id } } };
}

export class WhatsAppScheduler {
  readonly messages: Messages;
  readonly recipients: Recipients;
  readonly groups: Groups;
  readonly schedules: Schedules;
  /** Everything else, by its path and with the types of the API. */
  readonly api: Api;

  constructor(options: Options) {
    this.api = connect(options);
    this.messages = new Messages(this.api);
    this.recipients = new Recipients(this.api);
    this.groups = new Groups(this.api);
    this.schedules = new Schedules(this.api);
  }
}
