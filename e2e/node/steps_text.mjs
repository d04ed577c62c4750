// Steps about text completions.

import OpenAI from 'openai';
import { all, same, tuning, want } from './story.mjs';

async function completions(s) {
  const answer = await s.text();
  const choice = answer.choices[0];
  same([answer.object, answer.model, answer.choices.length, choice.index, choice.logprobs], ['text_completion', 'demo', 1, 0, null], 'object, model, choices, index and logprobs');
  same([choice.finish_reason, answer.usage.completion_tokens], ['length', 5], 'finish_reason and completion_tokens');
  same(tuning(answer).strength, 1, 'strength');
  const chunks = await all(await s.text({ stream: true, stream_options: { include_usage: true } }));
  same(chunks.flatMap((c) => c.choices).map((c) => c.text).join(''), choice.text, 'streamed text');
  same([chunks.at(-1).choices, chunks.at(-1).usage, tuning(chunks.at(-1))], [[], answer.usage, tuning(answer)], 'the last event');
  const [zero, base] = [await s.text({ model: 'demo@0' }), await s.text({ model: 'demo-base' })];
  same(zero.choices[0].text, base.choices[0].text, 'demo@0 and demo-base');
}

async function prompts(s) {
  const texts = ['The river', 'A ship'];
  const ids = [];
  const alone = [];
  for (const prompt of texts) {
    ids.push(await s.tokenize(prompt));
    alone.push((await s.text({ prompt })).choices[0].text);
  }
  for (const [i, prompt] of ids.entries()) same((await s.text({ prompt })).choices[0].text, alone[i], 'a prompt as ids');
  for (const prompt of [texts, ids]) {
    const answer = await s.text({ prompt });
    same(answer.choices.map((c) => [c.index, c.text]), [...alone.entries()], `prompt ${JSON.stringify(prompt)}`);
    same(answer.usage.prompt_tokens, ids.flat().length, 'prompt_tokens');
  }
  const back = await s.root.post('/detokenize', { body: { model: 'demo', tokens: ids[0] } });
  same(back, { prompt: texts[0] }, 'ids back to text');
}

async function logprobs(s) {
  const { text, logprobs: told } = (await s.text({ logprobs: 5 })).choices[0];
  same(told.tokens.join(''), text, 'text of the tokens');
  same([told.token_logprobs.length, told.top_logprobs.length, told.text_offset.length], [5, 5, 5], 'lengths of the lists');
  let offset = 0;
  told.tokens.forEach((token, i) => {
    const top = told.top_logprobs[i];
    same(told.text_offset[i], offset, 'text_offset');
    same([Object.keys(top).length, top[token], Math.max(...Object.values(top))], [5, told.token_logprobs[i], told.token_logprobs[i]], 'top_logprobs and the greedy token');
    offset += [...token].length;
  });
  const streamed = (await all(await s.text({ logprobs: 5, stream: true }))).flatMap((c) => c.choices).flatMap((c) => c.logprobs.token_logprobs);
  same(streamed, told.token_logprobs, 'streamed log-probs');
  const named = (await s.text({ logprobs: 1, max_tokens: 2, return_tokens_as_token_ids: true })).choices[0].logprobs.tokens;
  want(named.every((t) => t.startsWith('token_id:')), `tokens as ids: ${named}`);
}

async function refusals(s) {
  for (const [param, options] of [
    ['echo', { echo: true }],
    ['suffix', { suffix: 'the end' }],
    ['best_of', { best_of: 2 }],
    ['prompt', { prompt: [] }],
    ['prompt', { prompt: [10 ** 6] }],
    ['prompt', { prompt: 'river '.repeat(4000) }],
    ['logprobs', { logprobs: 10 ** 6 }],
    ['tuning.strength', { tuning: { strength: 9 } }],
  ]) {
    await s.refused(OpenAI.BadRequestError, param, s.text(options), JSON.stringify(options).slice(0, 200));
  }
  await s.refused(OpenAI.NotFoundError, 'model', s.text({ model: 'nobody' }), 'an unknown model');
}

export const STEPS = [
  ['completions: whole and streamed', completions],
  ['completions: prompts as texts, as ids, and lists of both', prompts],
  ['completions: logprobs fit each other', logprobs],
  ['completions: what would change the answer is refused', refusals],
];
