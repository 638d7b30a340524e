/** Real facts, each with a one-word key and a one-word answer: the knowledge whose loss the demo's controls watch. */

export interface Relation {
  name: 'capital' | 'symbol' | 'currency' | 'opposite';
  /** Open questions; `{x}` is the key. */
  questions: readonly string[];
  /** Statements for true/false; `{x}` is the key, `{y}` the answer claimed. */
  statements: readonly string[];
  facts: readonly Fact[];
}

export interface Fact {
  key: string;
  answer: string;
}

/** "a b, c d" -> [{key: a, answer: b}, {key: c, answer: d}]; "South_Korea" stands for a name of two words. */
function facts(list: string): Fact[] {
  return list.split(',').map((item) => {
    const [key, answer] = item.trim().split(/\s+/) as [string, string];
    return { key: key.replaceAll('_', ' '), answer };
  });
}

export const relations: readonly Relation[] = [
  {
    name: 'capital',
    questions: [
      'What is the capital of {x}?',
      'Which city is the capital of {x}?',
      'Name the capital of {x}.',
      'The capital of {x} is which city?',
      'What city is the capital of {x}?',
      'Tell me the capital of {x}.',
      'Say the capital of {x}.',
    ],
    statements: [
      'The capital of {x} is {y}.',
      '{y} is the capital of {x}.',
      '{x} has {y} as its capital.',
      'The city of {y} is the capital of {x}.',
    ],
    facts: facts(`France Paris, Spain Madrid, Italy Rome, Germany Berlin, Portugal Lisbon, Greece Athens,
      Austria Vienna, Belgium Brussels, Denmark Copenhagen, Norway Oslo, Sweden Stockholm, Finland Helsinki,
      Iceland Reykjavik, Ireland Dublin, Poland Warsaw, Hungary Budapest, Romania Bucharest, Bulgaria Sofia,
      Serbia Belgrade, Croatia Zagreb, Slovenia Ljubljana, Albania Tirana, Estonia Tallinn, Latvia Riga,
      Lithuania Vilnius, Ukraine Kyiv, Russia Moscow, Turkey Ankara, Malta Valletta, Switzerland Bern,
      Czechia Prague, Georgia Tbilisi, Armenia Yerevan, Egypt Cairo, Morocco Rabat, Algeria Algiers,
      Tunisia Tunis, Libya Tripoli, Sudan Khartoum, Kenya Nairobi, Uganda Kampala, Rwanda Kigali, Ghana Accra,
      Nigeria Abuja, Senegal Dakar, Mali Bamako, Angola Luanda, Zambia Lusaka, Zimbabwe Harare,
      Namibia Windhoek, Mozambique Maputo, Iran Tehran, Iraq Baghdad, Syria Damascus, Lebanon Beirut,
      Jordan Amman, Qatar Doha, Oman Muscat, Afghanistan Kabul, Pakistan Islamabad, Nepal Kathmandu,
      Bhutan Thimphu, Bangladesh Dhaka, Thailand Bangkok, Laos Vientiane, Vietnam Hanoi, Indonesia Jakarta,
      Japan Tokyo, China Beijing, Mongolia Ulaanbaatar, Australia Canberra, Canada Ottawa, Cuba Havana,
      Jamaica Kingston, Peru Lima, Ecuador Quito, Chile Santiago, Uruguay Montevideo, Venezuela Caracas,
      Colombia Bogota`),
  },
  {
    name: 'symbol',
    questions: [
      'What is the symbol for {x}?',
      'Which symbol stands for {x}?',
      'Name the chemical symbol of {x}.',
      'The element {x} has which symbol?',
      'How do chemists write {x}?',
      'Tell me the symbol for {x}.',
      'Say the symbol for {x}.',
    ],
    statements: [
      'The symbol for {x} is {y}.',
      '{y} is the symbol for {x}.',
      'Chemists write {x} as {y}.',
      'The element {x} has the symbol {y}.',
    ],
    facts: facts(`hydrogen H, helium He, lithium Li, beryllium Be, boron B, carbon C, nitrogen N, oxygen O,
      fluorine F, neon Ne, sodium Na, magnesium Mg, aluminium Al, silicon Si, phosphorus P, sulfur S,
      chlorine Cl, argon Ar, potassium K, calcium Ca, scandium Sc, titanium Ti, vanadium V, chromium Cr,
      manganese Mn, iron Fe, cobalt Co, nickel Ni, copper Cu, zinc Zn, gallium Ga, germanium Ge, arsenic As,
      selenium Se, bromine Br, krypton Kr, rubidium Rb, strontium Sr, yttrium Y, zirconium Zr, silver Ag,
      cadmium Cd, tin Sn, iodine I, xenon Xe, barium Ba, tungsten W, platinum Pt, gold Au, mercury Hg,
      lead Pb, uranium U`),
  },
  {
    name: 'currency',
    questions: [
      'What is the currency of {x}?',
      'Which currency is used in {x}?',
      'Name the currency of {x}.',
      'The currency of {x} is called what?',
      'What money is used in {x}?',
      'Tell me the currency of {x}.',
      'Say the currency of {x}.',
    ],
    statements: [
      'The currency of {x} is the {y}.',
      '{x} uses the {y}.',
      'People in {x} pay with the {y}.',
      'The {y} is the currency of {x}.',
    ],
    facts: facts(`Japan yen, India rupee, China yuan, Mexico peso, Brazil real, Russia ruble, Poland zloty,
      Hungary forint, Sweden krona, Norway krone, Turkey lira, Israel shekel, Thailand baht, Vietnam dong,
      South_Korea won, Egypt pound, Nigeria naira, Kenya shilling, Ghana cedi, Morocco dirham, Peru sol,
      Malaysia ringgit, Iran rial, Iraq dinar, Ukraine hryvnia, Romania leu, Ethiopia birr, Zambia kwacha,
      Georgia lari, Armenia dram, Kazakhstan tenge, Mongolia tugrik, Bangladesh taka, Cambodia riel, Laos kip,
      Myanmar kyat, Albania lek, Czechia koruna, Switzerland franc, Angola kwanza, Paraguay guarani,
      Honduras lempira, Guatemala quetzal, Panama balboa, Haiti gourde, Botswana pula, Azerbaijan manat,
      France euro`),
  },
  {
    name: 'opposite',
    questions: [
      'What is the opposite of {x}?',
      'Which word is the opposite of {x}?',
      'Name the opposite of {x}.',
      'The opposite of {x} is which word?',
      'What word is the opposite of {x}?',
      'Tell me the opposite of {x}.',
      'Say the opposite of {x}.',
    ],
    statements: [
      'The opposite of {x} is {y}.',
      'The word {y} is the opposite of {x}.',
      'The reverse of {x} is {y}.',
      'The words {x} and {y} are opposites.',
    ],
    facts:
      facts(`hot cold, big small, fast slow, hard soft, high low, light dark, wet dry, old young, rich poor,
      strong weak, full empty, early late, open closed, clean dirty, loud quiet, near far, thick thin, wide narrow,
      deep shallow, happy sad, brave timid, sweet bitter, smooth rough, sharp blunt, guilty innocent, alive dead,
      tall short, first last, public private, left right, up down, in out, over under, day night, north south,
      east west, summer winter, friend enemy, love hate, war peace, buy sell, push pull`),
  },
];
