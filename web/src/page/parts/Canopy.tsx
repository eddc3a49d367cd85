/** The tree of the sign-in page: a crown of overlapping leaves, light between them, people on the ground below. */
const LEAVES: [x: number, y: number, rx: number, ry: number, turn: number, tone: number][] = [
  [70, 118, 92, 58, -14, 1],
  [196, 70, 120, 74, 6, 2],
  [340, 44, 132, 72, -4, 1],
  [490, 58, 128, 78, 8, 2],
  [632, 104, 108, 66, 18, 1],
  [128, 172, 96, 52, 4, 3],
  [268, 132, 118, 66, -8, 3],
  [414, 118, 126, 70, 3, 1],
  [556, 148, 112, 60, -6, 3],
  [664, 176, 76, 42, 10, 2],
  [46, 190, 66, 36, -8, 2],
  [350, 184, 122, 50, 0, 2],
];
const LIGHT: [x: number, y: number, r: number][] = [
  [150, 104, 9],
  [232, 152, 6],
  [302, 84, 11],
  [388, 150, 7],
  [452, 88, 8],
  [524, 128, 6],
  [588, 76, 9],
  [96, 150, 6],
  [362, 58, 5],
  [618, 150, 7],
];
const PEOPLE: [x: number, y: number, size: number, warm: boolean][] = [
  [206, 352, 15, false],
  [258, 362, 17, true],
  [448, 362, 17, false],
  [502, 352, 15, true],
  [552, 346, 13, false],
];
const TONES = [
  "",
  "fill-[light-dark(oklch(0.8_0.062_148),oklch(0.36_0.05_156))]",
  "fill-[light-dark(oklch(0.74_0.075_150),oklch(0.31_0.045_157))]",
  "fill-[light-dark(oklch(0.67_0.085_152),oklch(0.27_0.04_158))]",
];

export function Canopy({ className }: { className?: string }) {
  return (
    <svg viewBox="-36 -40 776 440" aria-hidden="true" className={className}>
      <path
        d="M40 378c120-22 500-22 620 0"
        className="fill-none stroke-line"
        strokeWidth="3"
        strokeLinecap="round"
      />
      <path
        d="M330 190c4 62-2 118-34 176h108c-32-58-38-114-34-176Z"
        className="fill-[light-dark(oklch(0.5_0.06_55),oklch(0.33_0.035_55))]"
      />
      {LEAVES.map(([cx, cy, rx, ry, turn, tone]) => (
        <ellipse
          key={cx}
          cx={cx}
          cy={cy}
          rx={rx}
          ry={ry}
          transform={`rotate(${turn} ${cx} ${cy})`}
          className={TONES[tone]}
        />
      ))}
      {LIGHT.map(([cx, cy, r]) => (
        <circle
          key={cx}
          cx={cx}
          cy={cy}
          r={r}
          className="fill-[light-dark(oklch(0.97_0.03_110/0.75),oklch(0.85_0.09_130/0.22))]"
        />
      ))}
      {PEOPLE.map(([x, y, size, warm]) => (
        <g key={x} className={warm ? "fill-earth" : "fill-leaf"}>
          <circle cx={x} cy={y - size * 1.45} r={size * 0.62} />
          <path
            d={`M${x - size} ${y + size * 0.9}c0-${size * 1.9} ${size * 2}-${size * 1.9} ${size * 2} 0Z`}
          />
        </g>
      ))}
    </svg>
  );
}
