// Steps about how strongly an answer is tuned, and which one is chosen.

import OpenAI from 'openai';
import { all, joined, same, textOf, tuning, want } from './story.mjs';

const strengthHeader = (value) => ({ headers: { 'X-Tuning-Strength': value } });

async function threeWays(s) {
  for (const temperature of [0, 0.8]) {
    const body = await s.chat({ temperature, seed: 3, tuning: { strength: 0.5 } });
    const header = await s.chat({ temperature, seed: 3 }, strengthHeader('0.5'));
    const name = await s.chat({ temperature, seed: 3, model: 'demo@0.5' });
    same([textOf(header), textOf(name)], [textOf(body), textOf(body)], 'text by header and by model name');
    same([tuning(header), tuning(name)], [tuning(body), tuning(body)], 'tuning by header and by model name');
    same([tuning(body).strength, tuning(body).experts], [0.5, { chat: 0.5 }], 'tuning by body');
  }
  const experts = await s.chat({ tuning: { experts: { chat: 0.5 } } });
  same(tuning(experts).experts, { chat: 0.5 }, 'weight by expert');
  same(textOf(experts), textOf(await s.chat({ model: 'demo@0.5' })), "an expert's weight and the strength");
  const header = await s.chat({}, { headers: { 'X-Tuning-Experts': 'chat=0.5' } });
  same(tuning(header).experts, { chat: 0.5 }, 'weight by header');
}

async function precedence(s) {
  const ask = (more) => s.chat({ model: 'demo@0.25', max_tokens: 2, ...more }, strengthHeader('0.5'));
  same(tuning(await ask({})).strength, 0.5, 'header and model name');
  same(tuning(await ask({ tuning: { strength: 0 } })).strength, 0, 'an explicit 0 in the body');
  same(tuning(await ask({ tuning: { strength: null } })).strength, 0.5, 'null in the body');
  await s.refused(OpenAI.BadRequestError, 'X-Tuning-Strength', s.chat({ tuning: { strength: 1 } }, strengthHeader('strong')), 'a malformed header');
}

async function zeroIsBase(s) {
  for (const options of [{ temperature: 0 }, { temperature: 0.8, seed: 11 }]) {
    const base = await s.chat({ model: 'demo-base', max_tokens: 24, ...options });
    const zero = await s.chat({ model: 'demo@0', max_tokens: 24, ...options });
    same([textOf(zero), zero.choices[0].finish_reason, zero.usage], [textOf(base), base.choices[0].finish_reason, base.usage], 'demo@0 and demo-base');
    same(tuning(zero).changed_tokens, 0, 'changes at strength 0');
    want(Math.abs(tuning(zero).mean_kl) < 1e-9, `mean_kl at strength 0: ${JSON.stringify(tuning(zero))}`);
    want(textOf(await s.chat({ max_tokens: 24, ...options })) !== textOf(base), 'demo says what demo-base says: tuning has no effect');
  }
}

async function explained(s) {
  const answer = await s.chat({ max_tokens: 4, logprobs: true, tuning: { explain: true } });
  const rows = tuning(answer).explain;
  const told = answer.choices[0].logprobs.content;
  same(rows.map((r) => [r.token, r.combined]), told.map((t) => [t.token, t.logprob]), 'tokens and log-probs explained');
  for (const r of rows) {
    same([r.choice, Object.keys(r.tuned), Object.keys(r.untuned)], [0, ['chat'], ['chat']], 'choice and experts');
  }
}

async function seeds(s) {
  const hot = { temperature: 2, max_tokens: 24 };
  const first = await s.chat({ ...hot, seed: 7 });
  same(textOf(await s.chat({ ...hot, seed: 7 })), textOf(first), 'the same seed');
  same(tuning(first).seed, 7, 'seed in the report');
  const others = new Set();
  for (let seed = 0; seed < 8; seed++) others.add(textOf(await s.chat({ ...hot, seed })));
  want(others.size > 1, `eight seeds gave one text: ${[...others]}`);
  const drawn = await s.chat(hot);
  want(Number.isSafeInteger(tuning(drawn).seed), `a drawn seed that JavaScript cannot hold: ${tuning(drawn).seed}`);
  same(textOf(await s.chat({ ...hot, seed: tuning(drawn).seed })), textOf(drawn), 'a drawn seed, sent back');
}

async function choices(s) {
  const hot = { temperature: 2, max_tokens: 24, seed: 7 };
  const one = await s.chat(hot);
  const four = await s.chat({ ...hot, n: 4 });
  const texts = four.choices.map((c) => c.message.content);
  same(four.choices.map((c) => c.index), [0, 1, 2, 3], 'indices');
  same(texts[0], textOf(one), 'choice 0 and n=1');
  want(new Set(texts).size > 1, `four choices are one text: ${texts}`);
  const chunks = await all(await s.chat({ ...hot, n: 4, stream: true }));
  same([0, 1, 2, 3].map((i) => joined(chunks, i)), texts, 'streamed choices');
  same(four.usage.prompt_tokens, one.usage.prompt_tokens, 'prompt_tokens of n=4');
}

async function stops(s) {
  const full = textOf(await s.chat());
  const start = Math.floor(full.length / 3);
  const middle = full.slice(start, start + 3);
  const expected = full.slice(0, full.indexOf(middle));
  for (const stop of [middle, ['never in this text', middle]]) {
    const answer = await s.chat({ stop });
    same([textOf(answer), answer.choices[0].finish_reason], [expected, 'stop'], `stop ${stop}`);
  }
  const chunks = await all(await s.chat({ stop: middle, stream: true }));
  same([joined(chunks), chunks.at(-1).choices[0].finish_reason], [expected, 'stop'], 'streamed up to a stop');
}

async function lengths(s) {
  const old = await s.chat({ max_tokens: 3 });
  const now = await s.chat({ max_completion_tokens: 3 });
  same(textOf(now), textOf(old), 'text');
  for (const answer of [old, now]) {
    same([answer.choices[0].finish_reason, answer.usage.completion_tokens], ['length', 3], 'finish_reason and completion_tokens');
  }
  want(textOf(await s.chat()).startsWith(textOf(old)), 'a shorter answer begins another text');
  await s.refused(OpenAI.BadRequestError, 'max_completion_tokens', s.chat({ max_tokens: 3, max_completion_tokens: 4 }), 'two lengths');
}

async function harmless(s) {
  const answer = await s.chat({ user: 'someone', store: false, metadata: { a: 'b' }, service_tier: 'auto', safety_identifier: 'x', tools: null });
  same(textOf(answer), textOf(await s.chat()), 'an answer with harmless parameters');
}

async function refusals(s) {
  for (const [param, options, request] of [
    ['tuning.strength', { tuning: { strength: 9 } }],
    ['tuning.strength', { tuning: { strength: '1' } }],
    ['tuning.strength', { model: 'demo@9' }],
    ['tuning.strength', {}, strengthHeader('9')],
    ['tuning.strength', { tuning: { strength: 9 }, stream: true }],
    ['tuning.experts.nobody', { tuning: { experts: { nobody: 1 } } }],
    ['tuning.frobnicate', { tuning: { frobnicate: 1 } }],
    ['frobnicate', { frobnicate: 1 }],
    ['tools', { tools: [{ type: 'function', function: { name: 'f', parameters: {} } }] }],
    ['functions', { functions: [{ name: 'f', parameters: {} }] }],
    ['response_format', { response_format: { type: 'json_object' } }],
    ['messages', { messages: [] }],
    ['n', { n: 0 }],
    ['max_tokens', { max_tokens: -1 }],
    ['temperature', { temperature: 2.5 }],
    ['top_logprobs', { logprobs: true, top_logprobs: 21 }],
  ]) {
    await s.refused(OpenAI.BadRequestError, param, s.chat(options, request), JSON.stringify({ options, request }));
  }
  await s.refused(OpenAI.NotFoundError, 'model', s.chat({ model: 'nobody' }), 'an unknown model');
  await s.refused(OpenAI.NotFoundError, 'model', s.client.models.retrieve('nobody'), 'an unknown model');
}

export const STEPS = [
  ['knob: body, header and model name are one', threeWays],
  ['knob: the body wins over the header, the header over the model name', precedence],
  ['knob: strength 0 is the base, strength 1 is not', zeroIsBase],
  ['knob: explain tells of each token', explained],
  ['seed: the same one repeats, the reported one too', seeds],
  ['n: choices differ, the first is that of n=1', choices],
  ['stop: the text ends before the string, streamed or not', stops],
  ['max_tokens and max_completion_tokens are one, finish_reason length', lengths],
  ['parameters that say nothing about the answer are taken', harmless],
  ["errors are the client's typed exceptions and name the field", refusals],
];
