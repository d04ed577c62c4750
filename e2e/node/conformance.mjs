// A conformance story: the official Node client against a running gateway.
//
//     node e2e/node/conformance.mjs http://127.0.0.1:8080
//
// The gateway serves the embedded family without a configuration. OPENAI_API_KEY
// holds a key if it wants one. Every step prints a line; the first mismatch is
// told on stderr and ends the story with exit code 1.
//
// The steps ask for nothing that only one training of the family could say: they
// compare answers with each other.

import OpenAI from 'openai';
import { STEPS as knob } from './steps_knob.mjs';
import { STEPS as text } from './steps_text.mjs';
import { all, joined, Mismatch, same, Story, textOf, tuning, want } from './story.mjs';

async function models(s) {
  const listed = new Map();
  for await (const m of s.client.models.list()) listed.set(m.id, m);
  for (const name of ['demo', 'demo-safe', 'demo-base', 'demo-small', 'demo-small-chat', 'demo-small-safe', 'demo-base-chat', 'demo-base-safe']) {
    want(listed.has(name), `models.list() lacks ${name}: ${[...listed.keys()]}`);
  }
  const one = await s.client.models.retrieve('demo');
  same(one, listed.get('demo'), "models.retrieve('demo') and its entry in the list");
  same([one.object, one.owned_by, one.experts], ['model', 'graft', { chat: 1 }], 'object, owned_by and experts');
  want(one.vocab_size > 0 && one.max_model_len > 0, `sizes of demo: ${JSON.stringify(one)}`);
}

async function whole(s) {
  const answer = await s.chat();
  const choice = answer.choices[0];
  same([answer.object, answer.model, answer.choices.length, choice.index], ['chat.completion', 'demo', 1, 0], 'object, model, choices and index');
  want(/^chatcmpl-/.test(answer.id) && Math.abs(answer.created * 1000 - Date.now()) < 600_000, `id ${answer.id}, created ${answer.created}`);
  same([choice.message.role, choice.message.refusal, choice.logprobs, choice.finish_reason], ['assistant', null, null, 'stop'], 'role, refusal, logprobs and finish_reason');
  want(choice.message.content.length > 0, 'the answer is empty');
  const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
  want(prompt_tokens > 0 && completion_tokens > 0 && total_tokens === prompt_tokens + completion_tokens, `usage ${JSON.stringify(answer.usage)}`);
  const report = tuning(answer);
  same([report.strength, report.experts, report.base], [1, { chat: 1 }, 1], 'tuning applied');
  want(report.changed_tokens > 0 && report.mean_kl > 0, `tuning changed nothing: ${JSON.stringify(report)}`);
}

async function parts(s) {
  const plain = await s.chat({ messages: [{ role: 'system', content: 'Answer in one sentence.' }, ...s.ask] });
  const split = await s.chat({
    messages: [
      { role: 'developer', content: 'Answer in one sentence.' },
      { role: 'user', content: [{ type: 'text', text: s.ask[0].content }] },
    ],
  });
  same(textOf(split), textOf(plain), 'a text part and a string');
}

async function streamed(s) {
  for (const temperature of [0, 0.9]) {
    const answer = await s.chat({ temperature, seed: 5 });
    let chunks = await all(await s.chat({ temperature, seed: 5, stream: true }));
    same([...new Set(chunks.map((c) => c.object))], ['chat.completion.chunk'], 'object of chunks');
    same(new Set(chunks.map((c) => c.id)).size, 1, 'ids of a stream');
    same(chunks[0].choices[0].delta, { role: 'assistant', content: '' }, 'the first delta');
    same(joined(chunks), textOf(answer), 'streamed text');
    same(chunks.slice(0, -1).filter((c) => c.choices[0].finish_reason !== null), [], 'finish_reason before the end');
    same(chunks.at(-1).choices[0].finish_reason, answer.choices[0].finish_reason, 'finish_reason of the stream');
    same(chunks.filter((c) => 'usage' in c), [], 'usage that nobody asked for');
    same(tuning(chunks.at(-1)), tuning(answer), 'tuning in the last chunk');

    chunks = await all(await s.chat({ temperature, seed: 5, stream: true, stream_options: { include_usage: true } }));
    same(chunks.slice(0, -1).filter((c) => c.usage !== null), [], 'usage before the last chunk');
    same([chunks.at(-1).choices, chunks.at(-1).usage], [[], answer.usage], 'the last chunk');
    same(tuning(chunks.at(-1)), tuning(answer), 'tuning beside usage');
  }
}

async function helper(s) {
  const options = { model: 'demo', messages: s.ask, temperature: 0, logprobs: true, top_logprobs: 2 };
  const answer = await s.client.chat.completions.create(options);
  const stream = s.client.chat.completions.stream({ ...options, stream_options: { include_usage: true } });
  let text = '';
  stream.on('content', (delta) => { text += delta; });
  const final = await stream.finalChatCompletion();
  same([text, textOf(final)], [textOf(answer), textOf(answer)], 'accumulated text');
  same(final.choices[0].finish_reason, answer.choices[0].finish_reason, 'accumulated finish_reason');
  same(final.choices[0].logprobs.content, answer.choices[0].logprobs.content, 'accumulated log-probs');
  same(final.usage, answer.usage, 'accumulated usage');
}

async function logprobs(s) {
  const bare = (await s.chat({ logprobs: true, max_tokens: 4 })).choices[0].logprobs.content;
  same(bare.map((t) => t.top_logprobs), [[], [], [], []], 'logprobs without top_logprobs');
  const choice = (await s.chat({ logprobs: true, top_logprobs: 20, max_tokens: 4 })).choices[0];
  const tokens = choice.logprobs.content;
  same(Buffer.from(tokens.flatMap((t) => t.bytes)).toString(), choice.message.content, 'bytes of the tokens');
  tokens.forEach((t, i) => {
    same([t.token, t.logprob], [bare[i].token, bare[i].logprob], 'a token with and without top_logprobs');
    same(t.top_logprobs.length, 20, 'top_logprobs');
    same([t.top_logprobs[0].token, t.top_logprobs[0].logprob], [t.token, t.logprob], 'the greedy token and the best one');
    const told = t.top_logprobs.map((o) => o.logprob);
    same(told, [...told].sort((a, b) => b - a), 'order of top_logprobs');
  });
}

async function parallel(s) {
  const texts = ['Hello.', 'Who are you?', 'Can you help me?', 'Thank you.'];
  const asked = Array.from({ length: 12 }, (_, i) => ({
    messages: [{ role: 'user', content: `${texts[i % 4]} ${i}` }], seed: i, temperature: 0.8, max_tokens: 40,
  }));
  const alone = [];
  for (const options of asked) alone.push(textOf(await s.chat(options)));
  const together = await Promise.all(asked.map(async (options, i) => (
    i % 2 ? textOf(await s.chat(options)) : joined(await all(await s.chat({ ...options, stream: true })))
  )));
  same(together, alone, 'answers together and alone');
}

async function abort(s) {
  const before = textOf(await s.chat());
  for (let i = 0; i < 4; i++) {
    const stream = await s.chat({ model: 'demo-base', max_tokens: 1500, ignore_eos: true, stream: true });
    let count = 0;
    for await (const _ of stream) {
      if (++count === 3) stream.controller.abort();
    }
    want(count < 1500, `an aborted stream went on for ${count} chunks`);
  }
  const signal = AbortSignal.timeout(300);
  try {
    await s.client.chat.completions.create({ model: 'demo-base', messages: s.ask, max_tokens: 1900, n: 16, ignore_eos: true }, { signal });
    throw new Mismatch('a request of 30,000 tokens was answered within 300 ms');
  } catch (e) {
    if (!(e instanceof OpenAI.APIUserAbortError)) throw e;
  }
  same(textOf(await s.chat()), before, 'the answer after requests were left');
}

async function raw(s) {
  const { data, response, request_id } = await s.client.chat.completions
    .create({ model: 'demo', messages: s.ask, max_tokens: 2 }).withResponse();
  const name = response.headers.get('x-request-id');
  want(name, 'x-request-id is empty');
  same([request_id, data._request_id], [name, name], 'request ids');
  const other = (await s.client.models.list().asResponse()).headers.get('x-request-id');
  want(other && other !== name, `two requests have the id ${name}`);
  const e = await s.chat({ model: 'nobody' }).catch((e) => e);
  want(e.requestID && e.requestID !== name, `request id of an error: ${e.requestID}`);
}

async function keys(s) {
  try {
    await s.client.withOptions({ apiKey: 'sk-not-a-key-of-this-server' }).models.list();
  } catch (e) {
    if (!(e instanceof OpenAI.AuthenticationError)) throw e;
    same(e.code, 'invalid_api_key', "code of a wrong key's refusal");
    return 'a wrong key is refused';
  }
  return 'the server wants no keys';
}

const STEPS = [
  ['models.list and models.retrieve', models],
  ['chat: a whole answer, and its tuning report', whole],
  ['chat: text parts and a system message', parts],
  ['chat: the stream equals the whole, with and without usage', streamed],
  ["chat: the client's own accumulation of a stream", helper],
  ['chat: logprobs and top_logprobs fit each other', logprobs],
  ...knob,
  ...text,
  ['many at once, streamed and whole, each as if it were alone', parallel],
  ['a stream and a request that are left midway, and the next one', abort],
  ['headers and request ids', raw],
  ['authentication', keys],
];

if (process.argv.length !== 3) {
  console.error('usage: conformance.mjs BASE-URL, for example http://127.0.0.1:8080');
  process.exit(1);
}
const story = new Story(process.argv[2], process.env.OPENAI_API_KEY || 'none');
for (const [name, step] of STEPS) {
  try {
    const note = await step(story);
    console.log(`ok    ${name}${note ? ` (${note})` : ''}`);
  } catch (e) {
    // A bug of the story itself shows its stack.
    const known = e instanceof Mismatch || e instanceof OpenAI.OpenAIError;
    console.error(`FAIL  ${name}\n      ${known ? `${e.constructor.name}: ${e.message}` : e.stack}`);
    process.exit(1);
  }
}
console.log(`${STEPS.length} passed, 0 failed`);
