/**
 * The page `#/device` as a function of its state: what the GPU is, whether every kernel is right on it, what it can do at
 * most and what fraction of that each kernel reaches. It holds no state; `device-door.ts` renders it.
 */

import { html, nothing, type TemplateResult } from 'lit';
import type { FamilySpeed, Inspection, InspectionProgress, KernelTest } from '../kernels/inspection.ts';
import type { DeviceDescription } from '../protocol/messages.ts';
import { bytesText, countText, notice, pageFooter, pageHeader, plural } from './page-parts.ts';
import { softwareText } from './software-text.ts';

export interface DevicePageState {
  /** `gone`: there is no GPU to be had, or no longer. */
  readonly phase: 'opening' | 'ready' | 'running' | 'gone';
  readonly userAgent: string;
  readonly device?: DeviceDescription | undefined;
  readonly step?: InspectionProgress | undefined;
  readonly inspection?: Inspection | undefined;
  readonly problem?: string | undefined;
}

export interface DeviceActions {
  readonly run: () => void;
}

export function devicePage(state: DevicePageState, actions: DeviceActions): TemplateResult {
  const { phase, device, inspection } = state;
  return html`
    <main class="page" data-phase=${phase}>
      ${pageHeader(headState[phase], headText[phase], 'the GPU of this browser')}
      <section class="card">
        <div class="head">
          <h2>Test this device</h2>
          <div class="buttons">
            <button
              type="button"
              class="primary"
              aria-disabled=${phase !== 'ready'}
              @click=${phase === 'ready' ? actions.run : (): void => {}}
            >
              ${phase === 'running' ? 'Running…' : inspection === undefined ? 'Run' : 'Run again'}
            </button>
          </div>
        </div>
        ${notice('bad', state.problem)} ${device?.fallback === true ? notice('warn', softwareText) : nothing}
        ${phase === 'running' ? running(state.step) : inspection === undefined ? about : verdict(inspection)}
        ${device === undefined ? nothing : facts(device, inspection)}
      </section>
      ${inspection === undefined ? nothing : results(inspection)} ${device === undefined ? nothing : report(state)}
      ${pageFooter('#/device', undefined)}
    </main>
  `;
}

const headState = { opening: 'connecting', ready: 'connected', running: 'connected', gone: 'offline' } as const;
const headText = { opening: 'opening the GPU', ready: 'GPU ready', running: 'testing', gone: 'no GPU' } as const;

const about = html`<p class="soft">
  Run checks every kernel against numbers computed on the processor, measures what this GPU can do at most, and looks
  for the fastest variant of each kernel. It takes up to a minute, more on a software adapter, and sends nothing
  anywhere.
</p>`;

const running = (step: InspectionProgress | undefined): TemplateResult => html`
  <div class="stage" data-state="computing">
    <p class="job" role="status">${step === undefined ? 'Starting' : `${stageText[step.stage]}: ${step.what}`}</p>
    <progress max="1" .value=${step?.done ?? 0} aria-label="progress of the test"></progress>
  </div>
`;

const stageText = { 'self-test': 'Checking', ceilings: 'Measuring', tuning: 'Tuning' } as const;

function verdict({ selfTest, kernels, dropped }: Inspection): TemplateResult {
  const wrong = kernels.filter(({ failed }) => failed > 0);
  if (wrong.length > 0) {
    const text =
      `${plural(wrong.length, 'kernel is', 'kernels are')} wrong on this device (${wrong.map(({ kernel }) => kernel).join(', ')}). ` +
      'Its results would be thrown out. Update the GPU driver or the browser, or try another browser';
    return html`${notice('bad', text)}`;
  }
  const notApplicable =
    selfTest.notApplicable === 0
      ? ''
      : ` ${plural(selfTest.notApplicable, 'check')} of variants that it lacks features for did not apply.`;
  const skipped =
    dropped.length === 0
      ? ''
      : ` ${plural(dropped.length, 'fast variant was', 'fast variants were')} wrong and is left out.`;
  return html`<p data-verdict="right">
    This device can contribute: all ${countText(kernels.length)} kernels are right in
    ${plural(selfTest.passed, 'check')}.${notApplicable}${skipped}
  </p>`;
}

const facts = (device: DeviceDescription, inspection: Inspection | undefined): TemplateResult => html`
  <dl class="facts">
    <dt>Device class</dt>
    <dd><span class="device" data-device>${device.deviceClass}</span></dd>
    ${inspection === undefined || inspection.adapter.description === '' ? nothing : fact('Driver', inspection.adapter.description)}
    ${fact('Features', device.features.filter((feature) => feature !== 'core-features-and-limits').join(', ') || 'none that kernels use')}
    ${fact('Largest buffer', `${bytesText(device.bufferBytesMax)}, ${bytesText(device.bindingBytesMax)} in one binding`)}
    ${inspection === undefined ? nothing : limits(inspection)}
    ${
      device.loopIterationsMax === undefined
        ? nothing
        : fact('Loops', `end by themselves after ${countText(device.loopIterationsMax)} turns`)
    }
    <dt>Numeric class</dt>
    <dd>
      ${
        device.numericClass === undefined
          ? 'unknown'
          : html`<span class="device" data-numeric-class title=${device.numericClass}
                >${device.numericClass.slice(0, 16)}</span
              >
              <span class="soft small">devices with the same give equal bits</span>`
      }
    </dd>
  </dl>
`;

const fact = (name: string, value: string): TemplateResult => html`
  <dt>${name}</dt>
  <dd>${value}</dd>
`;

const limits = ({ limits: own }: Inspection): TemplateResult =>
  fact(
    'Workgroups',
    `up to ${countText(own.workgroupInvocationsMax)} invocations, ${bytesText(own.workgroupBytesMax)} shared, ${own.storageBindingsMax} buffers`,
  );

const results = (inspection: Inspection): TemplateResult => html`
  ${ceilings(inspection)} ${droppedCard(inspection)} ${speeds(inspection.speeds)} ${kernelsCard(inspection.kernels)}
`;

const ceilings = ({ ceilings: own }: Inspection): TemplateResult => html`
  <section class="numbers measured" aria-label="what this adapter can do at most">
    ${number(rateText(own.f32Flops, 'FLOP/s'), 'f32 at most', 'sums in registers')}
    ${own.f16Flops === undefined ? nothing : number(rateText(own.f16Flops, 'FLOP/s'), 'f16 at most', 'sums in registers')}
    ${number(rateText(own.copyBytes, 'B/s'), 'memory at most', 'read and written')}
    ${number(`${countText(own.dispatchMs * 1000)} µs`, 'a dispatch', `${countText(own.submitMs * 1000)} µs a submit`)}
  </section>
`;

const number = (value: string, label: string, more: string): TemplateResult =>
  html`<div class="number"><b class="rate">${value}</b><span>${label}</span><small>${more}</small></div>`;

const droppedCard = ({ dropped }: Inspection): TemplateResult | typeof nothing =>
  dropped.length === 0
    ? nothing
    : html`<section class="card">
        <h3>Wrong variants <span class="more">never used here</span></h3>
        <ul class="plain">
          ${dropped.map(
            ({ family, bucket, variant, problem }) =>
              html`<li data-dropped=${variant}>
                <b class="name">${family}</b> ${variant} <span class="soft small">${bucketText(bucket)}</span>
                <p class="bad small">${problem}</p>
              </li>`,
          )}
        </ul>
      </section>`;

const speeds = (all: readonly FamilySpeed[]): TemplateResult | typeof nothing =>
  all.length === 0
    ? nothing
    : html`<section class="card">
        <h3>Kernels by what they reach <span class="more">of what the adapter can do</span></h3>
        <ul class="plain speeds">
          ${all.map(
            (one) =>
              html`<li data-family=${one.family}>
                <div class="speed">
                  <span
                    ><b class="name">${one.family}</b> <span class="soft small">${bucketText(one.bucket)}</span></span
                  >
                  <span class="count"
                    >${rateText(one.perSecond, one.bound === 'flops' ? 'FLOP/s' : 'B/s')} ·
                    ${percentText(one.fraction)}</span
                  >
                </div>
                <progress
                  max="1"
                  .value=${Math.min(1, one.fraction)}
                  aria-label="${one.family}: ${percentText(one.fraction)} of the ceiling"
                ></progress>
                <span class="soft small"
                  >${one.isTuned ? html`<span data-winner>${one.variant}</span> is fastest` : html`${one.variant}, not tuned yet: there was no time left, Run again goes on`},
                  ${msText(one.ms)}</span
                >
              </li>`,
          )}
        </ul>
      </section>`;

/** Those that failed stand first and are open to see. */
const kernelsCard = (kernels: readonly KernelTest[]): TemplateResult => {
  const failed = kernels.filter((one) => one.failed > 0);
  const passed = kernels.filter((one) => one.failed === 0);
  return html`<section class="card">
    <h3>
      Self-test <span class="more">${plural(passed.length, 'kernel')} right, ${countText(failed.length)} wrong</span>
    </h3>
    <ul class="plain">
      ${failed.map(
        ({ kernel, failed: count, passed: right, problem }) =>
          html`<li data-failed=${kernel}>
            <b class="name">${kernel}</b>
            <span class="bad small">${plural(count, 'check')} of ${countText(count + right)} failed</span>
            <p class="bad small">${problem}</p>
          </li>`,
      )}
    </ul>
    <details>
      <summary>${plural(passed.length, 'kernel')} right</summary>
      <ul class="plain kernels">
        ${passed.map(
          ({ kernel, passed: count }) =>
            html`<li data-passed=${kernel}>
              <span>${kernel}</span> <span class="count">${plural(count, 'check')}</span>
            </li>`,
        )}
      </ul>
    </details>
  </section>`;
};

const report = ({ device, inspection, userAgent }: DevicePageState): TemplateResult => html`
  <section class="card">
    <details>
      <summary>Everything as JSON, for a bug report</summary>
      <pre class="report" data-report=${inspection === undefined ? 'device' : 'whole'} tabindex="0">
${JSON.stringify({ device, userAgent, inspection }, undefined, 1)}</pre>
    </details>
  </section>
`;

/** `rows:512,columns:64` as people write sizes. */
export const bucketText = (bucket: string): string =>
  bucket
    .split(',')
    .map((part) => part.replace(':', ' '))
    .join(', ');

/** With the prefix that leaves one to three digits: `17.2 GFLOP/s`. */
export function rateText(perSecond: number, unit: string): string {
  const prefixes = ['', 'k', 'M', 'G', 'T', 'P'];
  let value = perSecond;
  let index = 0;
  while (value >= 1000 && index < prefixes.length - 1) {
    value /= 1000;
    index++;
  }
  return `${value.toFixed(value < 10 ? 1 : 0)} ${prefixes[index] ?? ''}${unit}`;
}

const percentText = (fraction: number): string => `${(100 * fraction).toFixed(fraction < 0.1 ? 1 : 0)} %`;

const msText = (ms: number): string => `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
