import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { type Dim, dimTerms } from '../graph/dim.ts';
import { type DType, type Graph, type Node, type OpKind, topological } from '../graph/ir.ts';

/** Where the bytes of a checkpoint tensor lie: a file relative to the folder that the session is given. */
export interface WeightLocation {
  file: string;
  offset: number;
  length: number;
}

const OPSET = 18;
const IR_VERSION = 9;
const dataTypes: Record<DType, TensorProto_DataType> = {
  f32: TensorProto_DataType.FLOAT,
  f16: TensorProto_DataType.FLOAT16,
  bf16: TensorProto_DataType.BFLOAT16,
  i64: TensorProto_DataType.INT64,
};

type Attributes = Record<string, number | string | readonly number[]>;

/** Collects ONNX nodes; every method returns the name of the value it made. */
class Emitter {
  readonly model: ModelProto = create(ModelProtoSchema, {
    irVersion: BigInt(IR_VERSION),
    producerName: 'circuit-amplifier',
    opsetImport: [{ domain: '', version: BigInt(OPSET) }],
    graph: { name: 'graph' },
  });
  /** Names of the ONNX nodes that read 16-bit numbers. */
  readonly narrow: string[] = [];
  private readonly values = new Map<Node, string>();
  private readonly constants = new Map<string, string>();
  private readonly symbols = new Map<string, { input: string; axis: number; less: number }>();
  private readonly extents = new Map<Dim, string>();
  private readonly lasts = new Map<string, { start: string; pads: string }>();
  private count = 0;

  get graph() {
    return this.model.graph!;
  }

  op(
    opType: string,
    inputs: readonly string[],
    attributes: Attributes = {},
    name = `v${this.count++}`,
  ): string {
    this.graph.node.push(
      create(NodeProtoSchema, {
        opType,
        input: [...inputs],
        output: [name],
        name,
        attribute: Object.entries(attributes).map(([key, value]) =>
          create(
            AttributeProtoSchema,
            typeof value === 'string'
              ? { name: key, type: AttributeProto_AttributeType.STRING, s: new TextEncoder().encode(value) }
              : typeof value === 'number'
                ? { name: key, type: AttributeProto_AttributeType.INT, i: BigInt(value) }
                : { name: key, type: AttributeProto_AttributeType.INTS, ints: value.map(BigInt) },
          ),
        ),
      }),
    );
    return name;
  }

  /** Parts of extent 1 of an axis. */
  split(input: string, axis: number, parts: number): string[] {
    if (parts === 1) return [input];
    const first = this.op('Split', [input], { axis, num_outputs: parts });
    const rest = Array.from({ length: parts - 1 }, () => `v${this.count++}`);
    this.graph.node.at(-1)!.output.push(...rest);
    return [first, ...rest];
  }

  private initializer(tensor: Partial<TensorProto> & { name: string }): string {
    this.graph.initializer.push(create(TensorProtoSchema, tensor as never));
    return tensor.name;
  }

  i64(values: readonly number[]): string {
    const key = `i64:${values}`;
    let name = this.constants.get(key);
    if (name === undefined) {
      name = this.initializer({
        name: `c${this.constants.size}`,
        dims: [BigInt(values.length)],
        dataType: TensorProto_DataType.INT64,
        int64Data: values.map(BigInt),
      });
      this.constants.set(key, name);
    }
    return name;
  }

  f32(value: number): string {
    const key = `f32:${value}`;
    let name = this.constants.get(key);
    if (name === undefined) {
      name = this.initializer({
        name: `c${this.constants.size}`,
        dims: [],
        dataType: TensorProto_DataType.FLOAT,
        floatData: [value],
      });
      this.constants.set(key, name);
    }
    return name;
  }

  weight(node: Node, name: string, location: WeightLocation): void {
    this.initializer({
      name: `w:${name}`,
      dims: node.shape.map((d) => BigInt(d)),
      dataType: dataTypes[node.dtype],
      dataLocation: TensorProto_DataLocation.EXTERNAL,
      externalData: [
        { key: 'location', value: location.file },
        { key: 'offset', value: String(location.offset) },
        { key: 'length', value: String(location.length) },
      ] as never,
    });
    this.values.set(node, `w:${name}`);
  }

  input(node: Node, name: string): void {
    this.graph.input.push(valueInfo(name, node));
    node.shape.forEach((dim, axis) => {
      const [, symbol, more = '0'] = /^([A-Za-z]\w*)(?:\+(\d+))?$/.exec(String(dim)) ?? [];
      if (symbol && !this.symbols.has(symbol))
        this.symbols.set(symbol, { input: name, axis, less: Number(more) });
    });
    this.values.set(node, name);
  }

  /** A one-element int64 tensor that holds the run-time value of an extent. */
  extent(dim: Dim): string {
    if (typeof dim === 'number') return this.i64([dim]);
    let name = this.extents.get(dim);
    if (name === undefined) {
      const products = dimTerms(dim).map(({ coefficient, names }) => {
        const factors = names.map((symbol) => {
          const source = this.symbols.get(symbol);
          if (!source) throw new Error(`no graph input has an axis of extent ${symbol}`);
          const { input, axis, less } = source;
          const extent = this.op('Shape', [input], { start: axis, end: axis + 1 });
          return less === 0 ? extent : this.op('Sub', [extent, this.i64([less])]);
        });
        if (coefficient !== 1 || factors.length === 0) factors.push(this.i64([coefficient]));
        return factors.reduce((a, b) => this.op('Mul', [a, b]));
      });
      name = products.reduce((a, b) => this.op('Add', [a, b]));
      this.extents.set(dim, name);
    }
    return name;
  }

  /** Where the last `length` of `columns` begin, and Pad's `pads` that make `columns` of them. */
  last(length: Dim, columns: Dim): { start: string; pads: string } {
    const key = `${length} of ${columns}`;
    let made = this.lasts.get(key);
    if (made === undefined) {
      const start = this.op('Sub', [this.extent(columns), this.extent(length)]);
      made = { start, pads: this.op('Concat', [start, this.i64([0])], { axis: 0 }) };
      this.lasts.set(key, made);
    }
    return made;
  }

  /** An int64 shape tensor. With `infer` the last symbolic extent is left to Reshape's -1. */
  shape(dims: readonly Dim[], infer = false): string {
    const left = infer ? dims.findLastIndex((d) => typeof d === 'string') : -1;
    const known = dims.map((d, i) => (i === left ? -1 : d));
    if (known.every((d) => typeof d === 'number')) return this.i64(known as number[]);
    return this.op(
      'Concat',
      known.map((d) => this.extent(d)),
      { axis: 0 },
    );
  }

  value(node: Node): string {
    const name = this.values.get(node);
    if (name === undefined) throw new Error(`node ${node.id} (${node.op.kind}) is not lowered yet`);
    return name;
  }

  define(node: Node, name: string): void {
    this.values.set(node, name);
  }
}

/** An extent as ONNX shape inference may see it; polynomials stay unnamed. */
function valueInfo(name: string, node: Node): ValueInfoProto {
  return create(ValueInfoProtoSchema, {
    name,
    type: {
      value: {
        case: 'tensorType',
        value: {
          elemType: dataTypes[node.dtype],
          shape: {
            dim: node.shape.map((d) => ({
              value:
                typeof d === 'number'
                  ? ({ case: 'dimValue', value: BigInt(d) } as const)
                  : ({ case: 'dimParam', value: d } as const),
            })),
          },
        },
      },
    },
  });
}

const isNarrow = ({ dtype }: Node): boolean => dtype === 'f16' || dtype === 'bf16';

/** Notes that the ONNX node `name` reads `from`. */
function reading(e: Emitter, from: Node, name: string): string {
  if (isNarrow(from)) e.narrow.push(name);
  return name;
}

type Lowering = (e: Emitter, node: Node, x: readonly string[]) => string;

const direct =
  (opType: string): Lowering =>
  (e, _node, x) =>
    e.op(opType, x);

/**
 * Whether products with a matrix of any length have so few rows that repacking the matrix dominates. They are taken row by
 * row then: the kernel reads the right operand where it lies for one row, and repacks it for more.
 */
function isFewRows(left: Node, right: Node): boolean {
  const rows = left.shape.at(-2)!;
  return (
    right.shape.slice(-2).some((extent) => typeof extent === 'string') &&
    typeof rows === 'number' &&
    rows > 1 &&
    rows <= 8
  );
}

/** Whether every left matrix meets a right one of its own. */
function isBatched(left: Node, right: Node): boolean {
  const lead = left.shape.slice(0, -2);
  return lead.length === right.shape.length - 2 && lead.every((extent, i) => extent === right.shape[i]);
}

/** Everything but inputs and weights, which are declared and not computed. */
const lowerings: Record<Exclude<OpKind, 'input' | 'weight'>, Lowering> = {
  scalar: (e, node) => e.f32((node.op as { value: number }).value),
  zeros: (e, node) => e.op('ConstantOfShape', [e.shape(node.shape)]),
  add: direct('Add'),
  sub: direct('Sub'),
  mul: direct('Mul'),
  div: direct('Div'),
  neg: direct('Neg'),
  exp: direct('Exp'),
  log: direct('Log'),
  sqrt: direct('Sqrt'),
  sigmoid: direct('Sigmoid'),
  tanh: direct('Tanh'),
  erf: direct('Erf'),
  softplus: direct('Softplus'),
  invRms: (e, node, [x]) => {
    // From primitives: SimplifiedLayerNormalization's second output is the mean, not 1/rms, on WebGPU.
    const mean = e.op('ReduceMean', [e.op('Mul', [x!, x!]), e.i64([-1])], { keepdims: 1 });
    const eps = e.f32((node.op as { eps: number }).eps);
    return e.op('Reciprocal', [e.op('Sqrt', [e.op('Add', [mean, eps])])]);
  },
  rotateHalf: (e, node, [x]) => {
    const width = node.shape.at(-1);
    if (typeof width !== 'number') throw new Error('rotateHalf needs a fixed width');
    const part = (from: number, to: number) => e.op('Slice', [x!, e.i64([from]), e.i64([to]), e.i64([-1])]);
    const [first, second] = [part(0, width / 2), part(width / 2, width)];
    const inverse = (node.op as { inverse: boolean }).inverse;
    return e.op('Concat', inverse ? [second, e.op('Neg', [first])] : [e.op('Neg', [second]), first], {
      axis: -1,
    });
  },
  matmul: (e, node, [a, b]) => {
    const { transA, transB } = node.op as { transA: boolean; transB: boolean };
    const [left, right] = node.inputs as [Node, Node];
    if (left.shape.length === 2 && right.shape.length === 2) {
      return transA || transB
        ? e.op('Gemm', [a!, b!], { transA: Number(transA), transB: Number(transB) })
        : e.op('MatMul', [a!, b!]);
    }
    const flip = (name: string, rank: number) => {
      const perm = Array.from({ length: rank }, (_, i) => i);
      perm.push(...perm.splice(-2).reverse());
      return e.op('Transpose', [name], { perm });
    };
    if (!transA && isBatched(left, right) && isFewRows(left, right)) {
      const rank = left.shape.length;
      const rows = e.op('Unsqueeze', [a!, e.i64([rank - 1])]);
      const once = e.op('Unsqueeze', [b!, e.i64([rank - 2])]);
      const products = e.op('MatMul', [rows, transB ? flip(once, rank + 1) : once]);
      return e.op('Squeeze', [products, e.i64([rank - 1])]);
    }
    return e.op('MatMul', [
      transA ? flip(a!, left.shape.length) : a!,
      transB ? flip(b!, right.shape.length) : b!,
    ]);
  },
  raggedMatmul: (e, node, [a, ...each]) => {
    const { transB } = node.op as { transB: boolean };
    const [left, ...matrices] = node.inputs as [Node, ...Node[]];
    const columns = (transB ? left : node).shape[3]!;
    const last = (i: number) => e.last(matrices[i]!.shape[3]!, columns);
    const axis = e.i64([-1]);
    const joined = (parts: string[]) => e.op('Concat', parts, { axis: 1 });
    if (transB) {
      return joined(
        e.split(a!, 1, each.length).map((part, i) => {
          const used = e.op('Slice', [part, last(i).start, e.extent(columns), axis]);
          return e.op('MatMul', [used, e.op('Transpose', [each[i]!], { perm: [0, 1, 3, 2] })]);
        }),
      );
    }
    const apart = isFewRows(left, matrices[0]!);
    const rows = apart ? e.op('Unsqueeze', [a!, e.i64([3])]) : a!;
    const products = e.split(rows, 1, each.length).map((part, i) => {
      const matrix = apart ? e.op('Unsqueeze', [each[i]!, e.i64([2])]) : each[i]!;
      return e.op('Pad', [e.op('MatMul', [part, matrix]), last(i).pads, '', axis]);
    });
    return apart ? e.op('Squeeze', [joined(products), e.i64([3])]) : joined(products);
  },
  reshape: (e, node, [x]) => e.op('Reshape', [x!, e.shape(node.shape, true)]),
  transpose: (e, node, [x]) =>
    e.op('Transpose', [x!], { perm: (node.op as { perm: readonly number[] }).perm }),
  concat: (e, node, x) => e.op('Concat', x, { axis: (node.op as { axis: number }).axis }),
  slice: (e, node, [x]) => {
    const { axis, start, end } = node.op as { axis: number; start: Dim; end: Dim };
    return e.op('Slice', [x!, e.extent(start), e.extent(end), e.i64([axis])]);
  },
  expand: (e, node, [x]) => e.op('Expand', [x!, e.shape(node.shape)]),
  reduceSum: (e, node, [x]) =>
    e.op('ReduceSum', [x!, e.i64((node.op as { axes: readonly number[] }).axes)], { keepdims: 1 }),
  reduceMax: (e, node, [x]) =>
    e.op('ReduceMax', [x!, e.i64((node.op as { axes: readonly number[] }).axes)], { keepdims: 1 }),
  softmax: (e, _node, [x]) => e.op('Softmax', [x!], { axis: -1 }),
  logSoftmax: (e, _node, [x]) => e.op('LogSoftmax', [x!], { axis: -1 }),
  gather: (e, node, [data, indices]) => {
    const { axis } = node.op as { axis: number };
    return reading(e, node.inputs[0]!, e.op('Gather', [data!, indices!], { axis }));
  },
  scatterAdd: (e, node, [base, indices, updates]) => {
    const { axis } = node.op as { axis: number };
    if (axis === 0) {
      const rows = e.op('Unsqueeze', [indices!, e.i64([1])]);
      return e.op('ScatterND', [base!, rows, updates!], { reduction: 'add' });
    }
    if (axis !== 1 || node.shape.length !== 2) throw new Error('scatterAdd on axis 1 takes a matrix');
    const columns = e.op('Expand', [indices!, e.shape(node.inputs[2]!.shape)]);
    return e.op('ScatterElements', [base!, columns, updates!], { axis: 1, reduction: 'add' });
  },
  pick: (e, _node, [x, labels]) => {
    const column = e.op('Unsqueeze', [labels!, e.i64([1])]);
    return e.op('Squeeze', [e.op('GatherElements', [x!, column], { axis: 1 }), e.i64([1])]);
  },
  unpick: (e, _node, [base, labels, updates]) => {
    const [column, values] = [labels!, updates!].map((v) => e.op('Unsqueeze', [v, e.i64([1])])) as [
      string,
      string,
    ];
    return e.op('ScatterElements', [base!, column, values], { axis: 1, reduction: 'add' });
  },
  cast: (e, node, [x]) =>
    reading(e, node.inputs[0]!, e.op('Cast', [x!], { to: dataTypes[(node.op as { to: DType }).to] })),
  argmax: (e, _node, [x]) => e.op('ArgMax', [x!], { axis: -1, keepdims: 0 }),
};

const isWidened = ({ op, inputs }: Node): boolean => op.kind === 'cast' && inputs[0]!.op.kind === 'weight';

/**
 * A 16-bit weight in float32, for one operation. The runtime would widen all weights before it does anything else, and hold
 * them: so the weight gets its shape from an extent of the operation's other operand, times zero. That costs no copy.
 */
function widen(e: Emitter, cast: Node, operation: Node): string {
  const weight = e.value(cast.inputs[0]!);
  const other = operation.inputs.find((input) => !isWidened(input));
  if (!other || other.shape.length === 0) return lowerings.cast(e, cast, [weight]);
  const nothing = e.op('Mul', [e.op('Shape', [e.value(other)], { start: 0, end: 1 }), e.i64([0])]);
  const shape = e.op('Add', [e.i64(cast.shape as number[]), nothing]);
  const reshaped = e.op('Reshape', [weight, shape], { allowzero: 0 });
  return lowerings.cast(e, cast, [reading(e, cast.inputs[0]!, reshaped)]);
}

/** A serialised ONNX model, and the names of its nodes that read 16-bit numbers. */
export interface Lowered {
  model: Uint8Array<ArrayBuffer>;
  narrow: readonly string[];
}

/**
 * Lower a graph to ONNX. Weights become initialisers that point into the checkpoint's own files.
 * @param locate where a checkpoint tensor lies
 * @param widenOnUse widen a 16-bit weight anew for every operation that reads it, so that none is held in float32 from the
 * forward to the backward pass
 */
export function lower(
  graph: Graph,
  locate: (name: string) => WeightLocation,
  { widenOnUse = false } = {},
): Lowered {
  const e = new Emitter();
  const order = topological(graph.outputs.values());
  // Declared first, so that extents can be read off any input.
  for (const node of order) {
    if (node.op.kind === 'input') e.input(node, node.op.name);
    else if (node.op.kind === 'weight') e.weight(node, node.op.name, locate(node.op.name));
  }
  for (const node of order) {
    if (node.op.kind === 'input' || node.op.kind === 'weight') continue;
    if (widenOnUse && isWidened(node)) continue;
    e.define(
      node,
      lowerings[node.op.kind](
        e,
        node,
        node.inputs.map((input) => (widenOnUse && isWidened(input) ? widen(e, input, node) : e.value(input))),
      ),
    );
  }
  for (const [name, node] of graph.outputs) {
    e.op('Identity', [e.value(node)], {}, name);
    e.graph.output.push(valueInfo(name, node));
  }
  return { model: toBinary(ModelProtoSchema, e.model), narrow: e.narrow };
}
