/**
 * What is being written: `draft` is small and kept with each change, `file` is the list that was chosen.
 *
 * @typedef {{pasted: string, source: "paste" | "file", phoneColumn: number | null, text: string, name: string,
 *   leaveOutBad: boolean, queueOffline: boolean}} Draft
 */

import { guessPhoneColumn, readPasted, recipientsOf } from "./people.js";
import { read, write } from "./store.js";

const KEEP_AFTER_MS = 250;
export const EMPTY = { pasted: "", source: "paste", phoneColumn: null, text: "", name: "", leaveOutBad: false, queueOffline: false };

export class DraftKeeper {
  #timer = 0;
  #isChanged = false;
  #pastedTable = null;
  #pastedText = null;

  constructor(draft, file, onKept) {
    this.draft = draft;
    this.file = file;
    this.onKept = onKept;
  }

  static async load(onKept) {
    return new DraftKeeper({ ...EMPTY, ...(await read("draft")) }, await read("file"), onKept);
  }

  /** The list that counts: the file's, or what was pasted. */
  get table() {
    if (this.draft.source === "file" && this.file) return this.file.table;
    if (this.#pastedText !== this.draft.pasted) {
      this.#pastedText = this.draft.pasted;
      this.#pastedTable = readPasted(this.draft.pasted);
    }
    return this.#pastedTable;
  }

  get phoneColumn() {
    const { columns } = this.table;
    const chosen = this.draft.phoneColumn;
    return chosen !== null && chosen < columns.length ? chosen : guessPhoneColumn(this.table);
  }

  get people() {
    return recipientsOf(this.table, this.phoneColumn, this.draft.text);
  }

  /** Names of columns that a text may use: all but the one with the numbers. */
  get variables() {
    return this.table.columns.filter((_, column) => column !== this.phoneColumn);
  }

  change(part) {
    this.draft = { ...this.draft, ...part };
    this.#isChanged = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.keep(), KEEP_AFTER_MS);
  }

  /** Write down what has changed, and nothing else: another page may have gone on, or sent it. */
  async keep() {
    clearTimeout(this.#timer);
    if (!this.#isChanged) return;
    this.#isChanged = false;
    await this.#write("draft", this.draft);
  }

  async takeFile(file) {
    this.file = file;
    this.change({ source: file ? "file" : "paste", phoneColumn: null });
    await this.#write("file", file);
    await this.keep();
  }

  /** What the gateway is asked, for the forecast and for sending. */
  request(number) {
    const { text, name, leaveOutBad, queueOffline } = this.draft;
    return {
      sender_number: number,
      template: text,
      name: name.trim(),
      recipients: this.people.recipients,
      on_bad_row: leaveOutBad ? "partial" : "strict",
      queue_if_offline: queueOffline,
    };
  }

  async #write(name, value) {
    try {
      await write(name, value);
      this.onKept("");
    } catch (error) {
      this.onKept(`This list is too long for the browser to keep: send it before you close this page. (${error.message})`);
    }
  }
}
