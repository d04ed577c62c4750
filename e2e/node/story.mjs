// What the steps of the story share: a client, a question, and comparisons.

import { isDeepStrictEqual } from 'node:util';
import OpenAI from 'openai';

/** The gateway did something else than the story says. */
export class Mismatch extends Error {
  name = 'Mismatch';
}

/** Ends the story with message unless truth holds. */
export function want(truth, message) {
  if (!truth) throw new Mismatch(message);
}

/** Ends the story unless both are equal as JSON would have them. */
export function same(got, expected, what) {
  const [g, e] = [JSON.stringify(got), JSON.stringify(expected)];
  want(isDeepStrictEqual(JSON.parse(g ?? 'null'), JSON.parse(e ?? 'null')), `${what}: got ${g}, want ${e}`);
}

/**
 * The tuning report that came with an answer or a chunk, but for how it was drafted:
 * that depends on how quick the machine is at the moment.
 */
export function tuning(answer) {
  want(answer.tuning, `there is no tuning report in ${JSON.stringify(answer)}`);
  const { base_calls, drafted_tokens, agreed_tokens, ...report } = answer.tuning;
  return report;
}

/** The text of a whole answer's first choice. */
export const textOf = (answer) => answer.choices[0].message.content;

/** All chunks of a stream. */
export async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

/** The text of a choice's chunks. */
export function joined(chunks, index = 0) {
  return chunks.flatMap((c) => c.choices).filter((c) => c.index === index).map((c) => c.delta.content ?? '').join('');
}

/** A gateway under test; ask is a question that the tuned models answer in one
 * sentence, and the base rambles about. */
export class Story {
  ask = [{ role: 'user', content: 'Who are you?' }];

  constructor(url, apiKey) {
    const root = url.replace(/\/+$/, '').replace(/\/v1$/, '');
    // A failure must be seen and not tried again.
    this.client = new OpenAI({ baseURL: `${root}/v1`, apiKey, maxRetries: 0, timeout: 120_000 });
    this.root = this.client.withOptions({ baseURL: root });
  }

  /** Asks the question of demo, greedily, unless options say otherwise. */
  chat(options = {}, request = {}) {
    return this.client.chat.completions.create({ model: 'demo', messages: this.ask, temperature: 0, ...options }, request);
  }

  /** Lets demo go on with a text, greedily, unless options say otherwise. */
  text(options = {}, request = {}) {
    return this.client.completions.create({ model: 'demo', prompt: 'The river', temperature: 0, seed: 1, max_tokens: 5, ...options }, request);
  }

  /** The ids of a text, as a prompt of completions has them. */
  async tokenize(prompt, model = 'demo') {
    return (await this.root.post('/tokenize', { body: { model, prompt, add_special_tokens: true } })).tokens;
  }

  /** Ends the story unless the promise fails with that error about that field. */
  async refused(error, param, promise, what) {
    const e = await promise.then((answer) => new Mismatch(`${what}: want ${error.name} about ${param}, got ${JSON.stringify(answer)}`), (e) => e);
    if (!(e instanceof OpenAI.APIError)) throw e;
    same([e.constructor.name, e.param, e.type], [error.name, param, 'invalid_request_error'], `${what}: error (${e.message})`);
    want(e.message && e.code, `${what}: message ${e.message}, code ${e.code}`);
  }
}
