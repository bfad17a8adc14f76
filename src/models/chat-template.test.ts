/** Chats become prompts: formats of known families, what is refused, and templates that mean harm. */

import { expect, test } from 'vitest';
import { expectInput } from '../core/result.ts';
import { renderChat, type ChatTemplate } from './chat-template.ts';

const chat = (text: string | undefined, startText = '<s>', endText = '</s>'): ChatTemplate => ({
  text,
  startText,
  endText,
});
const messages = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Hi' },
  { role: 'assistant', content: ' Hello. ' },
  {
    role: 'user',
    content: [
      { type: 'text', text: 'What is ' },
      { type: 'text', text: '2+2?' },
    ],
  },
];
const prompt = (text: string | undefined, options = {}, list: unknown = messages): string =>
  expectInput(renderChat(chat(text), list, options)).prompt;
const refusal = (text: string | undefined, list: unknown = messages): string => {
  const rendered = renderChat(chat(text), list);
  return rendered.ok ? '' : rendered.error.text;
};

/** The shapes of three families, in our own words. */
const headers =
  '{{- bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>{% endfor %}' +
  '{%- if add_generation_prompt %}{{ "<|start_header_id|>assistant<|end_header_id|>\n\n" }}{% endif %}';
const instructions = `{%- if messages[0]['role'] == 'system' %}
  {%- set system = messages[0]['content'] + '\n\n' %}
  {%- set rest = messages[1:] %}
{%- else %}
  {%- set system = '' %}
  {%- set rest = messages %}
{%- endif %}
{{- bos_token }}
{%- for message in rest %}
  {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
    {{- raise_exception('roles must alternate between user and assistant') }}
  {%- endif %}
  {%- if message['role'] == 'user' %}
    {{- '[INST] ' + (system if loop.first else '') + message['content'] + ' [/INST]' }}
  {%- else %}
    {{- message['content'] | trim + eos_token }}
  {%- endif %}
{%- endfor %}`;
const thinking = `{%- set ns = namespace(last=-1) %}
{%- for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}
{%- macro block(role, content) %}{{ '<|im_start|>' ~ role ~ '\n' ~ content ~ '<|im_end|>\n' }}{% endmacro %}
{%- for m in messages %}{{ block(m.role, m.content.split('</think>')[-1].strip('\n') ~ ('*' if loop.index0 == ns.last else '')) }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}`;

test('a model without a template gets ChatML, and the answer says whose template it was', () => {
  const rendered = expectInput(renderChat(chat(undefined), messages));
  expect(rendered.prompt).toBe(
    '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n Hello. <|im_end|>\n' +
      '<|im_start|>user\nWhat is 2+2?<|im_end|>\n<|im_start|>assistant\n',
  );
  expect(rendered.templateName).toBe('ChatML (default)');
  expect(prompt(undefined, { addGenerationPrompt: false })).not.toMatch(/assistant\n$/);
  expect(expectInput(renderChat(chat(headers), messages)).templateName).toBe("the model's own");
});

test('headers, instructions and thinking: the shapes of three families', () => {
  expect(prompt(headers)).toBe(
    '<s>' +
      '<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>' +
      '<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWhat is 2+2?<|eot_id|>' +
      '<|start_header_id|>assistant<|end_header_id|>\n\n',
  );
  expect(prompt(instructions)).toBe('<s>[INST] Be brief.\n\nHi [/INST]Hello.</s>[INST] What is 2+2? [/INST]');
  const ends = '<|im_start|>user\nWhat is 2+2?*<|im_end|>\n<|im_start|>assistant\n';
  expect(prompt(thinking).endsWith(ends)).toBe(true);
  const quick = prompt(thinking, { variables: { enable_thinking: false } });
  expect(quick.endsWith(`${ends}<think>\n\n</think>\n\n`)).toBe(true);
});

test("a template's own refusal reaches whoever wrote the messages, in one line", () => {
  const twice = [
    { role: 'user', content: 'a' },
    { role: 'user', content: 'b' },
  ];
  expect(refusal(instructions, twice)).toBe('chat template: roles must alternate between user and assistant');
  expect(refusal("{{ raise_exception('two\nlines') }}")).toBe('chat template: two lines');
});

test('what is no chat is refused by the name of its place', () => {
  for (const [list, line] of [
    ['Hi', /^messages: expected a list/],
    [[], /^messages: /],
    [['Hi'], /^messages\.0: expected an object/],
    [[{ role: 'robot', content: 'x' }], /^messages: 0\.role: /],
    [[{ role: 'user' }], /^messages: 0\.content: /],
    [[{ role: 'user', content: 5 }], /^messages: 0\.content/],
    [[{ role: 'user', content: [] }], /^messages: 0\.content/],
    [[{ role: 'tool', content: '4', tool_call_id: 'a' }], /^messages\.0: tools are not supported/],
    [[{ role: 'assistant', content: '', tool_calls: [] }], /^messages\.0: tools are not supported/],
    [
      [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }],
      /content of type "image_url" is not supported/,
    ],
    [[{ role: 'user', content: 'x'.repeat(600_000) }], /^messages: 600000 characters together/],
  ] as const) {
    expect(refusal(undefined, list)).toMatch(line);
    expect(refusal(undefined, list)).not.toContain('\n');
  }
});

test('a broken template is refused in one line, whatever is broken', () => {
  for (const text of [
    '{% for m in messages %}',
    '{{ messages[0] + }}',
    '{% include "secrets" %}',
    '{{ 1 / }}',
    '{{ messages | nofilter }}',
    '('.repeat(10) + '{{' + '('.repeat(30_000),
    'x'.repeat(100_000),
  ]) {
    expect(refusal(text), text.slice(0, 40)).toMatch(/^chat template: [^\n]+$/);
  }
});

test('a template has no clock', () => {
  expect(prompt('{{ strftime_now is defined }}')).toBe('false');
});

test('templates that loop, recurse or grow without end are stopped, soon', () => {
  const doubling = '{% set s = "ab" %}' + '{% set s = s ~ s %}'.repeat(40) + '{{ s }}';
  for (const [text, line] of [
    ['{% for i in range(1000000000) %}x{% endfor %}', /range\(\) of more/],
    ['{% for i in range(0, 10, 0) %}x{% endfor %}', /range\(\) of more/],
    ['{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}', /too much work/],
    ['{% for i in range(9999) %}{% for j in range(9999) %}{{ j }}{% endfor %}{% endfor %}', /too much work/],
    ['{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', /^chat template: /],
    ['{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}', /too much work/],
    [doubling, /more than 1048576 characters|too much work/],
    ['{% set a = ["x"] %}' + '{% set a = [a, a] %}'.repeat(40) + '{{ a }}', /more than 1048576 characters/],
    [
      '{% set a = {"k": "x"} %}' + '{% set a = {"k": a, "l": a} %}'.repeat(40) + '{{ a | tojson }}',
      /more than 1048576/,
    ],
    ['{% set n = namespace(a=1) %}{% set n.a = [n, n] %}{{ n.a }}', /namespace into another/],
    ['{% set s = messages[0].content * 1000000 %}{{ s }}', /chat template: /],
    ['{% set s = "a" ~ messages[1].content %}{{ s | replace("", s ~ s) }}', /^chat template: gives replace/],
    ['{% set s = messages[1].content %}{{ s.replace("H", s ~ s) }}', /^chat template: gives replace/],
    ['{% set s = messages[1].content %}{% set f = s.replace %}{{ f("H", s) }}', /keeps a method/],
    ['{{ range(9999) | join(messages[1].content) }}', /gives replace, join/],
    ['{{ messages[0].content | indent(100000000, true) }}', /gives replace, join/],
    ['{{ messages | tojson(indent=100000000) }}', /gives replace, join/],
    ['{% set l = range(9999) %}{% for i in l %}{{ -1 in l }}{% endfor %}', /too much work/],
  ] as const) {
    const list = [
      { role: 'system', content: 'a\nb' },
      { role: 'user', content: 'H'.repeat(5000) },
    ];
    expect(refusal(text, list), text.slice(0, 80)).toMatch(line);
  }
});

test('a long chat is within the bounds', () => {
  const list = Array.from({ length: 1000 }, (_, index) => ({
    role: index % 2 === 0 ? 'user' : 'assistant',
    content: 'word '.repeat(80),
  }));
  for (const text of [undefined, headers, instructions, thinking])
    expect(prompt(text, {}, list).length).toBeGreaterThan(390_000);
});
