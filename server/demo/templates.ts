/**
 * The word-problem templates. Slots: {A} {B} two different people, {S} {s} the pronoun of {A} (at and inside a
 * sentence), {o} goods, {f} food, {a} to {d} numbers. A step is `expression unit`; x, y, z are the results of
 * steps 1, 2, 3. Number kinds: n = 2 to 40, f = 2 to 9.
 */
export interface Template {
  id: string;
  text: string;
  steps: readonly string[];
  numbers: Readonly<Record<string, 'n' | 'f'>>;
  /** Kept out of every pair: shows what a patch does where it was not fitted. */
  unseen: boolean;
}

function template(id: string, text: string, steps: string, numbers: string, unseen = false): Template {
  const kinds = numbers.split(' ').map((item) => item.split(':') as [string, 'n' | 'f']);
  return { id, text, steps: steps.split('; '), numbers: Object.fromEntries(kinds), unseen };
}

const paired = [
  template(
    'boxes-gift',
    '{A} has {a} boxes of {b} {o}. {S} gives {c} {o} to {B}. How many {o} does {A} have left?',
    'a * b {o}; x - c {o}',
    'a:n b:f c:n',
  ),
  template(
    'bags-found',
    '{A} packs {a} bags with {b} {o} each and then finds {c} more {o}. How many {o} does {A} have now?',
    'a * b {o}; x + c {o}',
    'a:n b:f c:n',
  ),
  template(
    'share-friends',
    '{A} has {a} {o} and gets {b} more {o} from {B}. {S} shares them equally among {c} friends. How many {o} does each friend get?',
    'a + b {o}; x / c {o}',
    'a:n b:n c:f',
  ),
  template(
    'lost-bought',
    '{A} had {a} {o}. {S} lost {b} of them and then bought {c} new ones. How many {o} does {A} have now?',
    'a - b {o}; x + c {o}',
    'a:n b:n c:n',
  ),
  template(
    'shop-change',
    '{A} buys {a} {o} for {b} dollars each and pays with {c} dollars. How many dollars does {s} get back?',
    'a * b dollars; c - x dollars',
    'a:f b:f c:n',
  ),
  template(
    'sell-lunch',
    '{A} sells {a} {o} for {b} dollars each and spends {c} dollars on lunch. How many dollars does {s} have left?',
    'a * b dollars; x - c dollars',
    'a:n b:f c:n',
  ),
  template(
    'savings',
    '{A} has {a} dollars and saves {b} dollars a week for {c} weeks. How many dollars does {A} have in the end?',
    'b * c dollars; a + x dollars',
    'a:n b:n c:f',
  ),
  template(
    'times-together',
    '{A} has {a} {o}. {B} has {b} times as many {o}. How many {o} do they have together?',
    'a * b {o}; x + a {o}',
    'a:n b:f',
  ),
  template(
    'fewer-together',
    '{A} picks {a} {o}. {B} picks {b} fewer {o} than {A}. How many {o} do they pick together?',
    'a - b {o}; x + a {o}',
    'a:n b:n',
  ),
  template(
    'more-together',
    '{A} has {a} {o}. {B} has {b} more {o} than {A}. How many {o} do they have in all?',
    'a + b {o}; x + a {o}',
    'a:n b:n',
  ),
  template(
    'reading',
    '{A} reads {a} pages a day for {b} days and {c} pages on the last day. How many pages does {s} read?',
    'a * b pages; x + c pages',
    'a:n b:f c:n',
  ),
  template(
    'trays-eaten',
    '{A} bakes {a} trays of {b} {f}. {B} eats {c} of them. How many {f} are left?',
    'a * b {f}; x - c {f}',
    'a:n b:f c:n',
  ),
  template(
    'split-add',
    '{A} puts {a} {o} into {b} equal bags and then adds {c} {o} to each bag. How many {o} are in each bag now?',
    'a / b {o}; x + c {o}',
    'a:n b:f c:n',
  ),
  template(
    'split-take',
    '{A} splits {a} {o} equally into {b} boxes and takes {c} {o} out of one box. How many {o} are left in that box?',
    'a / b {o}; x - c {o}',
    'a:n b:f c:n',
  ),
  template(
    'two-boxes',
    'One box holds {a} {o} and another box holds {b} {o}. {A} takes {c} {o}. How many {o} remain?',
    'a + b {o}; x - c {o}',
    'a:n b:n c:n',
  ),
  template(
    'three-days',
    '{A} finds {a} {o} on Monday, {b} on Tuesday and {c} on Friday. How many {o} does {s} find in all?',
    'a + b {o}; x + c {o}',
    'a:n b:n c:n',
  ),
  template(
    'rest-sold',
    '{A} has {a} {o} and gives {b} of them to {B}. {S} sells the rest for {c} dollars each. How many dollars does {s} get?',
    'a - b {o}; x * c dollars',
    'a:n b:n c:f',
  ),
  template(
    'two-colors',
    '{A} buys {a} red {o} and {b} blue {o} for {c} dollars each. How many dollars does {s} pay?',
    'a + b {o}; x * c dollars',
    'a:n b:n c:f',
  ),
  template(
    'fill-boxes',
    '{A} fills {b} boxes with {a} {o}. How many {o} does {s} need to fill {c} boxes?',
    'a / b {o}; x * c {o}',
    'a:n b:f c:n',
  ),
  template(
    'bags-shared',
    '{A} opens {a} bags of {b} {o} and shares them equally among {c} friends. How many {o} does each friend get?',
    'a * b {o}; x / c {o}',
    'a:n b:f c:f',
  ),
  template(
    'rest-piles',
    '{A} has {a} {o} and gives away {b}. {S} puts the rest into {c} equal piles. How many {o} are in each pile?',
    'a - b {o}; x / c {o}',
    'a:n b:n c:f',
  ),
  template(
    'two-gifts',
    '{A} has {a} {o}. {S} gives {b} to {B} and loses {c}. How many {o} are left?',
    'a - b {o}; x - c {o}',
    'a:n b:n c:n',
  ),
  template(
    'wages',
    '{A} earns {a} dollars an hour and works {b} hours. {S} pays {c} dollars for the bus. How many dollars does {s} keep?',
    'a * b dollars; x - c dollars',
    'a:n b:f c:n',
  ),
  template(
    'shelves',
    '{A} has {a} shelves with {b} {o} each. {S} buys {c} {o} and sells {d}. How many {o} does {s} have now?',
    'a * b {o}; x + c {o}; y - d {o}',
    'a:n b:f c:n d:n',
  ),
  template(
    'rest-shared',
    '{A} has {a} boxes of {b} {o}. {S} keeps {c} and shares the rest equally among {d} friends. How many {o} does each friend get?',
    'a * b {o}; x - c {o}; y / d {o}',
    'a:n b:f c:n d:f',
  ),
  template(
    'two-prices',
    '{A} buys {a} {o} for {b} dollars each and {c} hats for {d} dollars each. How many dollars does {s} spend?',
    'a * b dollars; c * d dollars; x + y dollars',
    'a:n b:f c:f d:f',
  ),
  template(
    'sold-fee',
    '{A} finds {a} {o} and {B} finds {b}. They sell them all for {c} dollars each and pay {d} dollars for the stand. How many dollars do they keep?',
    'a + b {o}; x * c dollars; y - d dollars',
    'a:n b:n c:f d:n',
  ),
  template(
    'rest-sold-add',
    '{A} has {a} {o} and breaks {b}. {S} sells the rest for {c} dollars each and gets {d} dollars from {B}. How many dollars does {s} have?',
    'a - b {o}; x * c dollars; y + d dollars',
    'a:n b:n c:f d:n',
  ),
  template(
    'pooled-share',
    '{A} has {a} {o} and {B} has {b}. They make {c} equal bags and add {d} {o} to each bag. How many {o} are in each bag?',
    'a + b {o}; x / c {o}; y + d {o}',
    'a:n b:n c:f d:n',
  ),
  template(
    'more-gift',
    '{A} has {a} {o}. {B} has {b} more {o} than {A}. Together they give away {c} {o}. How many {o} do they have left?',
    'a + b {o}; x + a {o}; y - c {o}',
    'a:n b:n c:n',
  ),
  template(
    'times-gift',
    '{A} has {a} {o}. {B} has {b} times as many. Together they lose {c} {o}. How many {o} do they have left?',
    'a * b {o}; x + a {o}; y - c {o}',
    'a:n b:f c:n',
  ),
  template(
    'three-pooled',
    '{A} has {a} {o}, {B} has {b} and a friend has {c}. They share them all equally among {d} children. How many {o} does each child get?',
    'a + b {o}; x + c {o}; y / d {o}',
    'a:n b:n c:n d:f',
  ),
  template(
    'crates-team',
    'A shop has {a} crates of {b} {o}. {A} sells {c} and {B} sells {d}. How many {o} are left in the shop?',
    'a * b {o}; x - c {o}; y - d {o}',
    'a:n b:f c:n d:n',
  ),
  template(
    'trays-packed',
    '{A} bakes {a} trays of {b} {f} and puts them into {c} equal boxes. {S} eats {d} from one box. How many {f} are left in that box?',
    'a * b {f}; x / c {f}; y - d {f}',
    'a:n b:f c:f d:n',
  ),
];

const unseen = [
  template(
    'garden',
    '{A} plants {a} rows of {b} trees. {c} trees die. How many trees are alive?',
    'a * b trees; x - c trees',
    'a:n b:f c:n',
    true,
  ),
  template(
    'bus',
    'A bus has {a} people. At the first stop {b} people get off and {c} get on. How many people are on the bus now?',
    'a - b people; x + c people',
    'a:n b:n c:n',
    true,
  ),
  template(
    'race',
    '{A} runs {a} miles a week and {B} runs {b} miles a week. How many miles do they run together in {c} weeks?',
    'a + b miles; x * c miles',
    'a:n b:n c:f',
    true,
  ),
  template(
    'market',
    '{A} sells {a} {o} for {b} dollars each. {S} shares the money equally among {c} friends. How many dollars does each friend get?',
    'a * b dollars; x / c dollars',
    'a:n b:f c:f',
    true,
  ),
  template(
    'club',
    'A club buys {a} boxes of {b} {o}. {A} brings {c} more {o} and {B} takes {d} home. How many {o} does the club have?',
    'a * b {o}; x + c {o}; y - d {o}',
    'a:n b:f c:n d:n',
    true,
  ),
  template(
    'two-walks',
    '{A} walks {a} miles a day for {b} days and {B} walks {c} miles a day for {d} days. How many more miles does {A} walk?',
    'a * b miles; c * d miles; x - y miles',
    'a:n b:f c:f d:f',
    true,
  ),
];

export const templates: readonly Template[] = [...paired, ...unseen];
